// What the page gains where JavaScript is on: the reader's time zone, and fresh content.
"use strict";

const FULL = { year: "numeric", month: "2-digit", day: "2-digit" };
const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const live = document.getElementById("live");
const stale = document.getElementById("stale");

// Times of today without their date; the server has put UTC into the title.
function localise(root) {
  const today = new Date().toDateString();
  for (const each of root.querySelectorAll("time[datetime]")) {
    const at = new Date(each.dateTime);
    const form = at.toDateString() === today ? CLOCK : { ...FULL, ...CLOCK };
    each.textContent = at.toLocaleString("sv-SE", form);
  }
  for (const each of root.querySelectorAll("[data-zone]")) {
    each.textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
  }
  for (const each of root.querySelectorAll("[data-script]")) {
    each.hidden = false;
  }
}

// Make `here` like `wanted`, and keep every element that stays: with its focus, what is typed and
// ticked in it, and whether it is open.
function renew(here, wanted) {
  if (here.nodeType !== Node.ELEMENT_NODE) {
    if (here.nodeValue !== wanted.nodeValue) here.nodeValue = wanted.nodeValue;
    return;
  }
  for (const { name } of [...here.attributes]) {
    if (name !== "open" && !wanted.hasAttribute(name)) here.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (name !== "open" && here.getAttribute(name) !== value) here.setAttribute(name, value);
  }
  renewChildren(here, wanted);
}

// Rows with a data-key stay the same row wherever they go; all others go by their place.
function renewChildren(here, wanted) {
  const key = (node) => node.dataset?.key;
  const keys = new Set([...wanted.children].map(key));
  const kept = new Map();
  for (const child of [...here.children]) {
    if (key(child) && !keys.has(key(child))) child.remove();
    else if (key(child)) kept.set(key(child), child);
  }
  let at = here.firstChild;
  for (const child of [...wanted.childNodes]) {
    const isAlike = at && !key(at) && at.nodeName === child.nodeName;
    const same = key(child) ? kept.get(key(child)) : isAlike ? at : null;
    if (same) renew(same, child);
    if (same && same === at) at = at.nextSibling;
    else here.insertBefore(same ?? document.importNode(child, true), at);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

async function refresh() {
  try {
    const answer = await fetch(location.href, {
      headers: { "X-Refresh": "1" }, redirect: "error", signal: AbortSignal.timeout(15000),
    });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const content = fresh.getElementById("live");
    if (!content) throw new Error(answer.statusText);
    localise(content);
    const focused = document.activeElement;
    renew(live, content);
    if (focused?.isConnected) focused.focus({ preventScroll: true });
    stale.hidden = true;
  } catch {
    stale.hidden = false;
  }
}

// One request after another, and none while nobody looks.
async function keepFresh(seconds) {
  for (;;) {
    await new Promise((wake) => setTimeout(wake, seconds * 1000));
    if (document.hidden) await new Promise((wake) => {
      document.addEventListener("visibilitychange", wake, { once: true });
    });
    await refresh();
  }
}

document.addEventListener("change", ({ target }) => {
  if (!target.matches("[data-all]")) return;
  for (const each of document.getElementsByName(target.dataset.all)) each.checked = target.checked;
});

localise(document);
if (live.dataset.refresh) keepFresh(Number(live.dataset.refresh));
