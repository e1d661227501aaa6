// Keeps what outlives a session in its tab: the name of the session, which leads the server to what it has
// saved, and the inputs of the Design page in the address of every page.

const KEY = "vaereg-session";
const FIRST_WAIT = 4000; // [ms], doubled after every try

let timer = null;

export default function ({ data, setTriggerValue }) {
  clearTimeout(timer);
  keepName(data, setTriggerValue, FIRST_WAIT);
  if (data.link !== null) {
    keepLink(data.names.split(" "), new URLSearchParams(data.link));
  }
  return () => clearTimeout(timer);
}

function keepName(data, setTriggerValue, wait) {
  try {
    const stored = sessionStorage.getItem(KEY);
    if (stored && stored !== data.token && data.fresh) {
      setTriggerValue("stored", stored); // after a reload, or a restart of the server
      // A change of pages may come before the server has taken it.
      timer = setTimeout(() => keepName(data, setTriggerValue, 2 * wait), wait);
    } else {
      sessionStorage.setItem(KEY, data.token);
    }
  } catch {
    // A browser that stores nothing loses the session when the page is loaded again.
  }
}

// In place, so that Back leads to the page before.
function keepLink(names, link) {
  const url = new URL(window.location.href);
  names.forEach((name) => url.searchParams.delete(name));
  link.forEach((value, name) => url.searchParams.append(name, value));
  if (url.search !== window.location.search) {
    window.history.replaceState(window.history.state, "", url);
  }
}
