"""Methods and recipes over HTTP."""

from __future__ import annotations

from fastapi import APIRouter

from service.methods import service
from service.methods.schemas import MethodList, RecipeList
from service.parameters import NO_PARAMETERS

router = APIRouter(tags=["methods"])


@router.get(
    "/methods", operation_id="list_methods", summary="Distillation methods", dependencies=NO_PARAMETERS
)  # fmt: skip
def list_methods() -> MethodList:
    """Every method that a request may name, with the feature maps and the batch that it needs, and its settings."""
    return service.list_methods()


@router.get(
    "/recipes", operation_id="list_recipes", summary="Training recipes", dependencies=NO_PARAMETERS
)  # fmt: skip
def list_recipes() -> RecipeList:
    """Every recipe that a request may name, with all its settings."""
    return service.list_recipes()
