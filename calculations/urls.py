"""The addresses of the pages of calculations, included at the root."""

from django.urls import path

from calculations.views import (
    analysing,
    dashboard,
    detail,
    draft,
    exports,
    files,
    filters,
    listing,
    reports,
    reviews,
    verbs,
)
from calculations.views import settings as settings_page

ONE = "calculations/<int:pk>"

urlpatterns = [
    path("", dashboard.dashboard, name="dashboard"),
    path("calculations/", listing.calculation_list, name="calculation-list"),
    path("calculations/bulk/", listing.calculation_bulk, name="calculation-bulk"),
    path("calculations/filters/", filters.save, name="calculation-filter-save"),
    path(
        "calculations/filters/<int:filter_id>/delete/",
        filters.delete,
        name="calculation-filter-delete",
    ),
    path("calculations/new/", draft.calculation_new, name="calculation-new"),
    path("calculations/preview/", draft.calculation_preview, name="calculation-preview"),
    path(f"{ONE}/", detail.calculation_detail, name="calculation-detail"),
    path(f"{ONE}/edit/", draft.calculation_edit, name="calculation-edit"),
    path(f"{ONE}/submit/", verbs.submit, name="calculation-submit"),
    path(f"{ONE}/withdraw/", verbs.withdraw, name="calculation-withdraw"),
    path(f"{ONE}/cancel/", verbs.cancel, name="calculation-cancel"),
    path(f"{ONE}/retry/", verbs.retry, name="calculation-retry"),
    path(f"{ONE}/duplicate/", verbs.duplicate, name="calculation-duplicate"),
    path(f"{ONE}/delete/", verbs.delete, name="calculation-delete"),
    path(f"{ONE}/input/<int:file_id>/", files.input_file, name="calculation-input-file"),
    path(f"{ONE}/output/<int:file_id>/", files.output_file, name="calculation-output-file"),
    path(f"{ONE}/analyses/", analysing.compute, name="calculation-analyses"),
    path(f"{ONE}/charts/", reports.calculation_charts, name="calculation-charts"),
    path(f"{ONE}/report.pdf", reports.report_as_pdf, name="calculation-report-pdf"),
    path(f"{ONE}/report.json", reports.report_as_json, name="calculation-report-json"),
    path(f"{ONE}/<slug:tab>/", detail.calculation_detail, name="calculation-detail"),
    path("exports/", exports.export_list, name="export-list"),
    path("exports/new/", exports.export_new, name="export-new"),
    path("exports/ask/", exports.export_ask, name="export-ask"),
    path("exports/<uuid:export_id>/file/", exports.export_file, name="export-file"),
    path("exports/<uuid:export_id>/delete/", exports.export_delete, name="export-delete"),
    path("exports/<uuid:export_id>/again/", exports.export_again, name="export-again"),
    path("reviews/", reviews.review_list, name="review-list"),
    path("reviews/decide/", reviews.review_decide, name="review-decide"),
    path("settings/", settings_page.lab_settings, name="lab-settings"),
    path("announcement/read/", settings_page.announcement_read, name="announcement-read"),
    path("settings/storage-test/", settings_page.storage_test, name="storage-test"),
]
