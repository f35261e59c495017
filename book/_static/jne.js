// A page opened from disk may not fetch other pages, so search shows titles without excerpts there.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// Boxes that are wider than their place say on which side there is more; jne.css shows it.
const scrolling = ".bd-article :is(a.image-reference, .cell_output, .cell_output .text_html, .pst-scrollable-table-container, pre)";

function tellMore(box) {
  const hidden = box.scrollWidth - box.clientWidth;
  if (box.matches("pre")) return box.tabIndex = hidden < 2 ? -1 : 0; // code that scrolls is reached by keys, also in a fold
  if (hidden < 2) return delete box.dataset.more;
  box.dataset.more = (box.scrollLeft > 1 ? "left " : "") + (box.scrollLeft < hidden - 1 ? "right" : "");
}

addEventListener("load", () => {
  const sizes = new ResizeObserver(changes => changes.forEach(change => tellMore(change.target)));
  for (const box of document.querySelectorAll(scrolling)) {
    sizes.observe(box);
    box.addEventListener("scroll", () => tellMore(box), { passive: true });
  }
});

// The contents that open from a button close when a place in them is chosen.
addEventListener("DOMContentLoaded", () => {
  const dialog = document.getElementById("pst-secondary-sidebar-modal");
  dialog?.addEventListener("click", event => {
    const link = event.target.closest("a");
    const place = link && document.getElementById(decodeURIComponent(link.hash.slice(1)));
    if (!place) return;
    event.preventDefault();
    dialog.addEventListener("close", () => {
      history.replaceState(null, "", link.hash);
      place.scrollIntoView();
    }, { once: true });
    dialog.close();
  });
});
