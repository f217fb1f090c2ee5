// Package chrometest drives the distribution's Chromium in tests: pages as people
// see and use them, with a passkey, by keyboard and on a narrow screen.
//
// Start with [New], which opens a page in a browser profile of its own; all tests of
// a process share one headless browser, which ends with the process. Actions take
// what a person would say of an element, a CSS selector, wait for it, and fail the
// test when it does not come. [Page.Check] judges a page: rules of accessibility by
// axe-core, what sticks out at a width, what the keyboard does not reach, sentences
// that were not found or not translated, what was asked of another host, and what
// the browser complained of; [Page.CheckSettings] judges it under forced colours, without
// motion and at 400 %. [Page.Passkeys] gives the page an authenticator.
//
// The browser reaches loopback addresses only. It runs without its sandbox as root,
// which is right for our own pages and for nothing else.
//
// Where Chromium is not installed tests are skipped with one line that says so, or
// fail if SANAD_REQUIRE_CHROMIUM is 1; the same holds for axe-core (interop/) and
// SANAD_REQUIRE_NPM. With -short, as under the race detector, there is no browser. The
// package is imported by tests only.
package chrometest
