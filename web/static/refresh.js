// Keeps a page that shows something unfinished up to date: fetches it again and brings the parts marked data-live in
// line. It must never take away what the reader types, has focused, opened or selected.
"use strict";

(() => {
  const FAILED_WAIT_MS = 5000;
  const main = document.getElementById("main");
  const announcer = document.getElementById("announcer");
  const connection = document.getElementById("connection");

  const interval = () => Number(main.dataset.refreshMs || 0);

  // A button must not turn into another one under the pointer, nor a question be answered for another action.
  function inUse(region) {
    if (region.querySelector("form") === null) return false;
    return region.matches(":hover, :focus-within") || region.querySelector("details.confirm[open]") !== null;
  }

  function follow(shown, fresh) {
    if (shown.nodeType !== fresh.nodeType || shown.nodeName !== fresh.nodeName || shown.id !== fresh.id) {
      shown.replaceWith(document.importNode(fresh, true));
    } else if (shown.nodeType === Node.ELEMENT_NODE) {
      followAttributes(shown, fresh);
      followChildren(shown, fresh);
    } else if (shown.data !== fresh.data) {
      shown.data = fresh.data;
    }
  }

  function followAttributes(shown, fresh) {
    for (const { name, value } of fresh.attributes) {
      if (shown.getAttribute(name) !== value) shown.setAttribute(name, value);
    }
    for (const name of shown.getAttributeNames()) {
      // `open` is the reader's own doing.
      if (name !== "open" && !fresh.hasAttribute(name)) shown.removeAttribute(name);
    }
  }

  function followChildren(shown, fresh) {
    const before = [...shown.childNodes];
    const after = [...fresh.childNodes];
    after.forEach((node, index) => {
      if (index < before.length) follow(before[index], node);
      else shown.append(document.importNode(node, true));
    });
    before.slice(after.length).forEach((node) => node.remove());
  }

  function apply(text) {
    const page = new DOMParser().parseFromString(text, "text/html");
    const fresh = page.getElementById("main");
    for (const region of document.querySelectorAll("[data-live]")) {
      const counterpart = page.getElementById(region.id);
      if (counterpart && !inUse(region)) follow(region, counterpart);
    }
    if (fresh.dataset.status !== main.dataset.status) {
      announcer.textContent = `The instance is now: ${fresh.dataset.status}`;
    }
    followAttributes(main, fresh);
  }

  async function refresh() {
    let wait = interval();
    try {
      if (!document.hidden) {
        const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
        // Deleted elsewhere: the page that says so is the right one to show.
        if (answer.status === 404) return location.reload();
        if (!answer.ok) throw new Error(String(answer.status));
        apply(await answer.text());
        wait = interval();
      }
      connection.textContent = wait ? "Live" : "";
    } catch {
      connection.textContent = "No answer from the server; trying again";
      wait = FAILED_WAIT_MS;
    }
    if (wait) setTimeout(refresh, wait);
  }

  // A notice is said once: without this, reloading would repeat it.
  const address = new URL(location.href);
  if (address.searchParams.has("did")) {
    address.searchParams.delete("did");
    history.replaceState(null, "", address);
  }
  // A page that answers a refused form has an address that only takes forms.
  const refused = document.querySelector(".notice[role=alert]") !== null;
  if (interval() && !refused) {
    connection.textContent = "Live";
    setTimeout(refresh, interval());
  }
})();
