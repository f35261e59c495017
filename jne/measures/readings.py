"""How a Jacobian is read at each sample: as one number per voxel, a norm of its rows ``J[n, v, :]``.

As published that is the L1 norm of their deviation from the mean over samples. The others are the L2 norm, rows that
are z-scored over features first, and the norm of the row itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

NORMS = ("l1", "l2")
# Rows whose entries differ by no more than rounding are constant.
_ROUNDING = 4


@dataclass(frozen=True)
class Reading:
    """A norm, and what it is taken of."""

    norm: str = "l1"
    zscore: bool = False  # rows are z-scored over features before anything else
    centred: bool = True  # of deviations from the mean over samples, else of the rows themselves

    def parts(self, J: torch.Tensor, dim: int) -> torch.Tensor:
        """What entries add to the norm, summed over one dimension; ``J`` is overwritten."""
        return (J.abs_() if self.norm == "l1" else J.square_()).sum(dim)

    def whole(self, parts: torch.Tensor) -> torch.Tensor:
        """The norm of which these are all parts."""
        return parts if self.norm == "l1" else parts.sqrt_()

    def size(self, J: torch.Tensor) -> torch.Tensor:
        """Norm of every row, ``(..., n_features) -> (...)``; ``J`` may be overwritten."""
        if J.is_cuda:
            # A card reads J once for a norm, three times for values and their sum; a CPU has them in its caches.
            return torch.linalg.vector_norm(J, ord=int(self.norm[1]), dim=-1)
        return self.whole(self.parts(J, -1))


PUBLISHED = Reading()


def zscore_rows(J: torch.Tensor) -> torch.Tensor:
    """Rows less their mean over their standard deviation (population), in place; NaN where a row is constant."""
    mean = J.mean(-1)
    J -= mean[..., None]
    scale = torch.linalg.vector_norm(J, dim=-1) / J.shape[-1] ** 0.5
    return J.div_(spread(mean, scale)[..., None])


def spread(mean: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Standard deviations of rows with these means; NaN where one is 0 or nothing but rounding."""
    return scale.masked_fill(scale <= _ROUNDING * torch.finfo(scale.dtype).eps * mean.abs(), torch.nan)
