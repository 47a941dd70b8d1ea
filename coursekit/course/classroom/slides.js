// Another machine has other fonts: a slide whose text does not fit gets smaller letters.
function fit(page) {
  for (let percent = 100; percent >= 55; percent -= 5) {
    page.style.fontSize = percent === 100 ? "" : `${parseFloat(page.dataset.size) * percent / 100}px`;
    const over = page.scrollHeight > page.clientHeight + 1 || page.scrollWidth > page.clientWidth + 1;
    if (!over) return;
  }
}
function fitAll() {
  for (const page of document.querySelectorAll(".page")) {
    if (!page.clientHeight) continue;
    page.dataset.size ||= getComputedStyle(page).fontSize;
    fit(page);
  }
}
Reveal.on("ready", fitAll);
Reveal.on("slidechanged", fitAll);
Reveal.on("pdf-ready", fitAll);
Reveal.initialize({
  width: 1280, height: 720, margin: 0, center: false, hash: true, controls: false, transition: "none",
  slideNumber: "c/t", pdfSeparateFragments: false, plugins: [RevealNotes],
});
