"""The result of `jne.validated_share`, from its products, voxels at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from jne.accuracy import significant_voxels
from jne.measures.registry import known_measure
from jne.measures.validated_products import Estimate, Products, by_group, ratio_of


class Collected:
    """The parts of a result, voxels at a time."""

    def __init__(self, category: np.ndarray | None, area: np.ndarray | None, dependence: float):
        self.dependence = dependence
        self.categories = None if category is None else np.unique(category)
        self.members = None if category is None else category[:, None] == self.categories
        self.area = area
        self.areas = None if area is None else np.unique(area[area != ""])
        self.voxels: list[Estimate] = []
        self.groups: list[np.ndarray] = []
        self.sums: list[np.ndarray] | None = None

    def add(self, voxels: slice, products: Products) -> None:
        self.voxels.append(ratio_of(products, self.dependence))
        if self.members is not None:
            self.groups.append(by_group(products, self.members))
        if self.area is not None and self.areas is not None:
            members = (self.area[voxels, None] == self.areas).astype(float)
            sums = [np.nan_to_num(values) @ members for values in products]
            self.sums = sums if self.sums is None else [a + b for a, b in zip(self.sums, sums, strict=True)]

    def dataset(self, q: float) -> xr.Dataset:
        whole = Estimate(*(np.concatenate(parts) for parts in zip(*self.voxels, strict=True)))
        content: dict[str, Any] = {
            "validated_nonlinear": ("voxel", whole.nonlinear, _described("validated_nonlinear")),
            "validated_predicted": ("voxel", whole.predicted, _described("validated_predicted")),
            "validated_share": ("voxel", whole.share, _described("validated_share")),
            "validated_share_se": ("voxel", whole.se),
            "p_value": ("voxel", whole.p_value),
            "confirmed": ("voxel", significant_voxels(whole.p_value, q)),
        }
        coordinates: dict[str, Any] = {}
        if self.categories is not None:
            coordinates["category"] = self.categories
            share, error = np.concatenate(self.groups, axis=-1)
            content |= {"by_category": (("category", "voxel"), share), "by_category_se": (("category", "voxel"), error)}
        if self.sums is not None:
            coordinates["area"] = self.areas
            content |= self._of_areas(Products(*self.sums))
        return xr.Dataset(content, coordinates)

    def _of_areas(self, products: Products) -> dict[str, Any]:
        ratio = ratio_of(products, self.dependence)
        content: dict[str, Any] = {
            "area_share": ("area", ratio.share),
            "area_share_se": ("area", ratio.se),
            "area_p_value": ("area", ratio.p_value),
            "area_predicted": ("area", ratio.predicted),
            "area_products": (("sample", "area"), products.nonlinear),
        }
        if self.members is not None:
            share, error = by_group(products, self.members)
            dims = "category", "area"
            content |= {"area_by_category": (dims, share), "area_by_category_se": (dims, error)}
        return content


def _described(name: str) -> dict[str, str]:
    measure = known_measure(name)
    return {"long_name": measure.definition, "units": measure.unit}
