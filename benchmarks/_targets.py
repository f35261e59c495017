"""What the engine promises, checked against the sections of a result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

LIMITS = {1000: {"plain": 2.5, "share": 3.5, "backward": 3}, 15000: {"plain": 1.3, "share": 1.45, "backward": 6}}
RELATIVE = {"plain, L2": 1.1, "z-scored, L1": 2.3, "z-scored, L2": 2.3}
GIGABYTE = 10**9


def judge(sections: Mapping[str, dict], clock: str) -> list[dict]:
    """Every promise that the sections can show: what, its value, its limit, and whether it is met."""
    found = [*_times(sections, clock), *_lines(sections, clock), *_memory(sections)]
    return [
        {
            "what": what,
            "value": value,
            "sign": sign,
            "limit": limit,
            "met": bool(value <= limit if sign == "<=" else value >= limit),
        }
        for what, value, sign, limit in found
    ]


def _times(sections: Mapping[str, dict], clock: str) -> Iterator[tuple[str, float, str, float]]:
    for section in sections.values():
        if "in_gemm" not in section or section["case"]["V"] not in LIMITS:
            continue
        gemm = {name: ratio[clock] for name, ratio in section["in_gemm"].items()}
        V, limits = section["case"]["V"], LIMITS[section["case"]["V"]]
        yield f"V = {V}: time without the covariance metric, in gemm", gemm["plain"], "<=", limits["plain"]
        for name in ("share, covariance of X", "share, full rank"):
            yield f"V = {V}: time with the {name}, in gemm", gemm[name], "<=", limits["share"]
        for name, limit in RELATIVE.items():
            if name in gemm:
                yield f"V = {V}: time of {name}, over plain's", gemm[name] / gemm["plain"], "<=", limit
        backward = gemm["backward per voxel"] / gemm["plain"]
        yield f"V = {V}: times faster than one backward per voxel", backward, ">=", limits["backward"]
        for name in ("vmap(jacfwd)", "vmap(jacfwd), two passes"):
            best = min(gemm[name], gemm["vmap(jacrev)"]) / gemm["plain"]
            yield f"V = {V}: times faster than the better of vmap(jacrev) and {name}", best, ">=", 2


def _lines(sections: Mapping[str, dict], clock: str) -> Iterator[tuple[str, float, str, float]]:
    fit = "fit_cpu_seconds" if clock == "cpu" else "fit_seconds"
    if line := sections.get("line, V"):
        yield "slope in V, in slopes of gemm", line[fit]["slope_in_gemm"], "<=", 1.15
    for size in ("V", "N"):
        if line := sections.get(f"line, {size}"):
            miss = line[fit]["plain"]["largest_relative_miss"]
            yield f"largest relative miss of a straight line in {size}", miss, "<=", 0.1
    if line := sections.get("line, N"):
        offset = line[fit]["plain"]["intercept"] / (line[fit]["plain"]["slope"] * max(line["sizes"]))
        yield "time at N = 0 over time at the largest N", abs(offset), "<=", 0.1


def _memory(sections: Mapping[str, dict]) -> Iterator[tuple[str, float, str, float]]:
    if brain := sections.get("whole brain"):
        run = brain["methods"]["plain"]
        above = (run["peak_bytes"] - run["output_bytes"]) / GIGABYTE
        yield f"V = {brain['case']['V']}: peak above inputs and outputs, GB", above, "<=", 2
    if accuracy := sections.get("accuracy"):
        for name in ("plain", "share, full rank"):
            for measure, error in accuracy["largest_relative_error"][name].items():
                if name == "plain" or measure == "nonlinear_share":
                    yield f"largest relative error of {measure} against float64", error, "<=", 1e-5
