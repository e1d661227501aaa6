// Keeps what outlives a session in its tab: the name of the session, which leads the server to what it has
// saved, and the request of the Design page in the address of every page.

const KEY = "vaereg-session";
const RETRY = 10000; // [ms]: longer than a run takes to come to the line that answers
let retry;

const NARROW = 768; // [px] width of a window whose sidebar covers the page
let page = "";

export default function ({ data, setTriggerValue }) {
  if (page && data.page !== page) leaveSidebar();
  page = data.page;
  keepName(data, setTriggerValue);
  keepLink(data.names.split(" "), new URLSearchParams(data.link));
}

// A change of pages may come before the server has taken the name: then the next run asks again, since its data
// have another number, and where no run follows, the page asks again by itself.
function keepName(data, setTriggerValue) {
  clearTimeout(retry);
  try {
    const stored = sessionStorage.getItem(KEY);
    if (stored && stored !== data.token && data.fresh) {
      setTriggerValue("stored", stored); // after a reload, or a restart of the server
      retry = setTimeout(() => keepName(data, setTriggerValue), RETRY);
    } else {
      sessionStorage.setItem(KEY, data.token);
    }
  } catch {
    // A browser that stores nothing loses the session when the page is loaded again.
  }
}

// Where the sidebar covers the page, it goes when another page was chosen in it.
function leaveSidebar() {
  if (window.innerWidth > NARROW) return;
  const shown = "[data-testid=stSidebar][data-collapsed=false] [data-testid=stSidebarCollapseButton] button";
  document.querySelector(shown)?.click();
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
