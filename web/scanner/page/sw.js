// The service worker: what the page consists of is fetched once and then served from
// this device, also after a cold start without a network. Trust files are never kept
// here: the page asks for them, judges them, and remembers the last good one itself.
const version = "@VERSION@";
const files = @FILES@;

addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(version);
    await cache.addAll(files.map((f) => new Request(f, { cache: "no-cache" })));
    await skipWaiting();
  })());
});

addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) if (name !== version && !name.startsWith("pocket-")) await caches.delete(name); // the pocket page may be a neighbour
    await clients.claim();
  })());
});

addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin) return;
  event.respondWith((async () => {
    const cache = await caches.open(version);
    const kept = await cache.match(event.request, { ignoreSearch: true });
    if (!url.pathname.endsWith("/settings.json")) return kept ?? fetch(event.request);
    // What its operator has set may change while the page stays the same.
    try {
      const now = await fetch(event.request, { cache: "no-cache" });
      if (!now.ok || !now.headers.get("Content-Type")?.startsWith("application/json")) return kept ?? now;
      await cache.put(event.request, now.clone());
      return now;
    } catch (error) {
      if (kept) return kept;
      throw error;
    }
  })());
});
