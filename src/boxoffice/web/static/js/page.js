// On every page: have somebody stand in for it when there is no network.

if ("serviceWorker" in navigator && window.isSecureContext) {
  navigator.serviceWorker.register("/service-worker.js").catch(() => {
    // Without it the browser's own message says the same, less kindly.
  });
}
