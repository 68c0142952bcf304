"""Routes of calculations under /api/v1/."""

from rest_framework.routers import SimpleRouter

from calculations.api import bulk, comparison, exports, preview, results, scaling, search
from calculations.api.export_views import ExportViewSet
from calculations.api.filters import FilterViewSet
from calculations.api.pseudopotentials import PseudopotentialViewSet
from calculations.api.structures import StructureViewSet
from calculations.api.templates import TemplateViewSet
from calculations.api.views import CalculationViewSet, RunViewSet, SoftwareViewSet

router = SimpleRouter()
router.register("calculations", CalculationViewSet, basename="api-calculation")
router.register("runs", RunViewSet, basename="api-run")
router.register("exports", ExportViewSet, basename="api-export")
router.register("structures", StructureViewSet, basename="api-structure")
router.register("filters", FilterViewSet, basename="api-filter")
router.register("templates", TemplateViewSet, basename="api-template")
router.register("pseudopotentials", PseudopotentialViewSet, basename="api-pseudopotential")
router.register("software", SoftwareViewSet, basename="api-software")

urlpatterns = [
    *bulk.urlpatterns,
    *preview.urlpatterns,
    *exports.urlpatterns,
    *results.urlpatterns,
    *search.urlpatterns,
    *comparison.urlpatterns,
    *scaling.urlpatterns,
    *router.urls,
]
