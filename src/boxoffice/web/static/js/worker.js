// Before every page: the network, and without one a page that says so. STYLE and PAGE are set above this by the server.

const KEPT = `box-office-offline ${STYLE}`;

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(KEPT).then((cache) => cache.addAll([PAGE, STYLE])).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter((name) => name !== KEPT).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener("fetch", (event) => {
  if (event.request.mode === "navigate" && event.request.method === "GET") {
    event.respondWith(fetch(event.request).catch(() => caches.match(PAGE)));
  } else if (new URL(event.request.url).href === new URL(STYLE, self.location).href) {
    event.respondWith(fetch(event.request).catch(() => caches.match(STYLE)));
  }
});
