"""Addresses of the pages of the gates; each page has a `.json` twin."""

from django.urls import path

from gates import views
from gates.ledger_audit import views as audits
from gates.pages.start import start

app_name = "gates"
urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("dashboard.json", views.dashboard, {"twin": True}, name="dashboard_json"),
    path("dashboard/live", views.dashboard_live, name="dashboard_live"),
    path("runs/", views.runs, name="runs"),
    path("runs/start", start, name="start_run"),
    path("runs.json", views.runs, {"twin": True}, name="runs_json"),
    path("runs/<int:pk>/", views.run, name="run"),
    path("runs/<int:pk>.json", views.run, {"twin": True}, name="run_json"),
    path("runs/<int:pk>/live", views.live, name="live"),
    path("runs/<int:pk>/curves.json", views.curves, name="curves"),
    path("runs/<int:pk>/slots/", views.slots, name="slots"),
    path("runs/<int:pk>/slots.json", views.slots, {"twin": True}, name="slots_json"),
    path("runs/<int:pk>/report/", views.report, name="report"),
    path("runs/<int:pk>/report.json", views.report, {"twin": True}, name="report_json"),
    path("slots/<int:pk>/", views.slot, name="slot"),
    path("slots/<int:pk>.json", views.slot, {"twin": True}, name="slot_json"),
    path("findings/<int:pk>/", views.finding, name="finding"),
    path("findings/<int:pk>.json", views.finding, {"twin": True}, name="finding_json"),
    path("findings/<int:pk>/around/", audits.around, name="around"),
    path("findings/<int:pk>/around.json", audits.around, {"twin": True}, name="around_json"),
    path("audits/", audits.audits, name="audits"),
    path("audits.json", audits.audits, {"twin": True}, name="audits_json"),
    path("audits/start", audits.start, name="start_audit"),
    path("audits/compare/", audits.compare, name="compare_audits"),
    path("audits/compare.json", audits.compare, {"twin": True}, name="compare_audits_json"),
    path("runs/<int:pk>/snapshot.zip", audits.snapshot, name="snapshot"),
    path("about/", views.about, name="about"),
    path("about.json", views.about, {"twin": True}, name="about_json"),
    path("healthz", views.healthz, name="healthz"),
]
