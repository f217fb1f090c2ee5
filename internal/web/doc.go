// Package web is the base of Sanad's HTTP servers: one table of routes in, a
// server out that is careful on the way.
//
// Start with [Route] and [Config]; [Listen] checks both and opens the ports,
// [Server.Serve] serves until its context ends. A handler is a [Handler], a
// function that may fail; [Problem] is how it refuses, [JSON] how it answers,
// [Body], [ReadJSON] and [Form] how it reads.
//
// Every route says how long a body it takes, of which media types, how often it
// may be asked by one client and what caches may do. What it does not say is the
// strict answer: no body, the default rate, no-store. The server adds what all
// have in common: time limits, TLS 1.2 or newer from certificate files that may
// be replaced while it runs, security headers, request ids, a log line and
// figures for Prometheus, /healthz and /readyz, refusal of paths and methods
// that are not in the table, and an end that lets running requests finish.
//
// Plain http is for the developer's own machine: it needs [Config.DevHTTP] and an
// address of the loopback.
//
// Logs and figures hold the name of the route, the method, the status and times;
// neither path nor query, header, body or address, since each of them may say
// something about a person. An error of a handler that is no [Reply] is logged by
// its text, so handlers must not put such things into errors.
//
// What is worked on at once is bounded for each rate ([Config.MaxRequests]): a request
// beyond that is refused with 503 before anything of it is looked at.
//
// Rate limits shape traffic. What must never happen twice or more often than a
// number is decided by package store/once, not here.
package web
