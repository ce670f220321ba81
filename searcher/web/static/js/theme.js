// Sets light or dark before the first paint. A classic script, so that it runs before the body is drawn.
{
  const kept = localStorage.getItem("searcher-theme");
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
}
