"""Memory that tensors hold, as torch itself counts it: what the system gives back, and when, plays no part."""

from torch.profiler import ProfilerActivity, profile


def peak_of_tensors(run):
    """What ``run`` returns, and the most bytes that tensors made in it on the CPU have held at a time."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = run()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return result, peak
