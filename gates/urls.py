"""Addresses of the pages of the gates; each page has a `.json` twin."""

from django.urls import path

from gates import views
from gates.alerts.pages import routes
from gates.alerts.pages import views as alerts
from gates.alerts.pages.runbooks import rules_page
from gates.alerts.pages.times import times_page
from gates.campaigns import views as campaigns
from gates.chaos.pages import start as start_chaos
from gates.chaos.pages import views as chaos
from gates.chaos.pages.undone import undone
from gates.detection.pages import views as detection
from gates.evidence import views as evidence
from gates.incidents import views as incidents
from gates.ledger_audit import views as audits
from gates.live_capital import plan_views as capital
from gates.live_capital import views as live
from gates.metrics import views as metrics
from gates.pages import help as help_pages
from gates.pages.start import start
from gates.signoff import views as signoff
from gates.streams import pages as streams
from gates.targets import views as targets

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
    path("evidence/", evidence.evidence, name="evidence"),
    path("evidence.json", evidence.evidence, {"twin": True}, name="evidence_json"),
    path("evidence/verify", evidence.verify_now, name="verify_all"),
    path("campaigns/<int:pk>/evidence/", evidence.campaign_evidence, name="campaign_evidence"),
    path("campaigns/<int:pk>/evidence.json", evidence.campaign_evidence, {"twin": True}, name="campaign_evidence_json"),
    path("campaigns/<int:pk>/evidence/verify", evidence.verify_now, name="verify_campaign"),
    path("campaigns/<int:pk>/evidence.zip", evidence.download, name="evidence_zip"),
    path("reports/<int:pk>.pdf", evidence.report_pdf, name="report_pdf"),
    path("reports/<int:pk>/", views.sealed, name="sealed"),
    path("reports/<int:pk>.json", views.sealed, {"twin": True}, name="sealed_json"),
    path("slots/<int:pk>/", views.slot, name="slot"),
    path("slots/<int:pk>.json", views.slot, {"twin": True}, name="slot_json"),
    path("findings/<int:pk>/", views.finding, name="finding"),
    path("findings/<int:pk>.json", views.finding, {"twin": True}, name="finding_json"),
    path("findings/<int:pk>/around/", audits.around, name="around"),
    path("findings/<int:pk>/around.json", audits.around, {"twin": True}, name="around_json"),
    path("campaigns/", campaigns.campaigns, name="campaigns"),
    path("campaigns.json", campaigns.campaigns, {"twin": True}, name="campaigns_json"),
    path("campaigns/start", campaigns.start, name="start_campaign"),
    path("campaigns/compare/", campaigns.compare, name="compare_campaigns"),
    path("campaigns/compare.json", campaigns.compare, {"twin": True}, name="compare_campaigns_json"),
    path("campaigns/<int:pk>/", campaigns.campaign, name="campaign"),
    path("campaigns/<int:pk>.json", campaigns.campaign, {"twin": True}, name="campaign_json"),
    path("campaigns/<int:pk>/live", campaigns.campaign_live, name="campaign_live"),
    path("reviews/<int:pk>/write", campaigns.review, name="write_review"),
    path("incidents/<int:pk>/", incidents.incident, name="incident"),
    path("incidents/<int:pk>.json", incidents.incident, {"twin": True}, name="incident_json"),
    *(
        path(f"incidents/<int:pk>/{name}", incidents.step, {"name": name}, name=f"incident_{name}")
        for name in incidents.STEPS
    ),
    path("audits/", audits.audits, name="audits"),
    path("audits.json", audits.audits, {"twin": True}, name="audits_json"),
    path("audits/start", audits.start, name="start_audit"),
    path("audits/compare/", audits.compare, name="compare_audits"),
    path("audits/compare.json", audits.compare, {"twin": True}, name="compare_audits_json"),
    path("runs/<int:pk>/snapshot.zip", audits.snapshot, name="snapshot"),
    path("chaos/", chaos.chaos, name="chaos"),
    path("chaos.json", chaos.chaos, {"twin": True}, name="chaos_json"),
    path("chaos/start", start_chaos.start, name="start_chaos"),
    path("scenarios/<int:pk>/", chaos.scenario, name="scenario"),
    path("scenarios/<int:pk>.json", chaos.scenario, {"twin": True}, name="scenario_json"),
    path("scenarios/<int:pk>/live", chaos.scenario_live, name="scenario_live"),
    path("crash-points/<int:pk>/", chaos.crash_point, name="crash_point"),
    path("crash-points/<int:pk>.json", chaos.crash_point, {"twin": True}, name="crash_point_json"),
    path("crash-points/<int:pk>/repeat", start_chaos.repeat, name="repeat_point"),
    path("heals/<int:pk>/undone", undone, name="undone_by_hand"),
    path("defects/", detection.defects, name="defects"),
    path("defects.json", detection.defects, {"twin": True}, name="defects_json"),
    path("defects/live", detection.defects_live, name="defects_live"),
    path("defects/<slug:name>/", detection.defect, name="defect"),
    path("defects/<slug:name>.json", detection.defect, {"twin": True}, name="defect_json"),
    path("defects/<slug:name>/strike", detection.strike, name="strike_defect"),
    path("campaigns/<int:pk>/sign-off/", signoff.sign_off, name="sign_off"),
    path("campaigns/<int:pk>/sign-off.json", signoff.sign_off, {"twin": True}, name="sign_off_json"),
    path("campaigns/<int:pk>/sign-off/sign", signoff.sign, name="sign"),
    path("campaigns/<int:pk>/sign-off/withdraw", signoff.withdraw, name="withdraw"),
    path("campaigns/<int:pk>/sign-off/review", signoff.review, name="review_code"),
    path("live/", live.live_capital, name="live_capital"),
    path("live.json", live.live_capital, {"twin": True}, name="live_capital_json"),
    path("live/start", live.start, name="start_live"),
    path("runs/<int:pk>/stop", live.stop, name="stop_target"),
    path("campaigns/<int:pk>/capital/", capital.propose, name="propose_capital"),
    path("capital/<int:pk>/", capital.plan, name="capital_plan"),
    path("capital/<int:pk>.json", capital.plan, {"twin": True}, name="capital_plan_json"),
    path("capital/<int:pk>/decide", capital.decide, name="decide_capital"),
    path("capital/<int:pk>/open", capital.open_gate, name="open_gate_4"),
    path("targets/", targets.targets, name="targets"),
    path("targets.json", targets.targets, {"twin": True}, name="targets_json"),
    path("targets/<str:name>.json", targets.target, {"twin": True}, name="target_json"),
    path("targets/<str:name>/", targets.target, name="target"),
    path("help/", help_pages.index, name="help"),
    path("help/first-afternoon/", help_pages.first_afternoon, name="help_first_afternoon"),
    path("help/team/", help_pages.team, name="help_team"),
    path("about/", views.about, name="about"),
    path("about.json", views.about, {"twin": True}, name="about_json"),
    path("alerts/", alerts.alerts, name="alerts"),
    path("alerts.json", alerts.alerts, {"twin": True}, name="alerts_json"),
    path("alerts/live", alerts.live, name="alerts_live"),
    path("alerts/now", alerts.now, name="alerts_now"),
    path("alerts/<int:pk>/", alerts.alert, name="alert"),
    path("alerts/<int:pk>.json", alerts.alert, {"twin": True}, name="alert_json"),
    path("alerts/<int:pk>/acknowledge", alerts.acknowledge_alert, name="acknowledge"),
    path("alerts/times/", times_page, name="alert_times"),
    path("alerts/times.json", times_page, {"twin": True}, name="alert_times_json"),
    path("alerts/rules/", rules_page, name="alert_rules"),
    path("alerts/rules.json", rules_page, {"twin": True}, name="alert_rules_json"),
    path("alerts/routes/", routes.routes, name="routes"),
    path("alerts/routes.json", routes.routes, {"twin": True}, name="routes_json"),
    path("alerts/routes/add/", routes.edit_route, name="add_route"),
    path("alerts/routes/<int:pk>/", routes.edit_route, name="change_route"),
    path("alerts/routes/<int:pk>/switch", routes.switch_route, name="switch_route"),
    path("alerts/drills/", routes.drills, name="drills"),
    path("alerts/drills.json", routes.drills, {"twin": True}, name="drills_json"),
    path("alerts/drills/start", routes.start_drill, name="start_drill"),
    path("alerts/drills/answer", routes.answer_drill, name="answer_drill"),
    path("streams/", streams.streams, name="streams"),
    path("streams.json", streams.streams, {"twin": True}, name="streams_json"),
    path("streams/live", streams.streams_live, name="streams_live"),
    path("metrics", metrics.metrics, name="metrics"),
    path("healthz", views.healthz, name="healthz"),
]
