// Package fetch is the one way in which Sanad sends requests to other machines. A test
// in the root of the module sees to it that no other package does.
//
// Start with [New] and [Client.Do]. A [Client] reaches public addresses by https only
// (TLS 1.2 or later), and hosts that the settings name as local also by plain http. It
// uses no proxy and no environment variable, sends no cookies, asks for no compression
// and refuses it, and limits time, size and headers. Whatever a name resolves to is
// looked at when the connection is made, so that a name cannot lead to another machine
// of the office, whatever it led to a moment ago (SECURITY promise P25). Redirects are
// followed only where a request allows some, on the same host and under the same
// rules; to other hosts only for what is signed ([Request.Elsewhere]).
//
// Documents ([Request.Keep]) are kept as they say themselves ([Request.Fresh]) or else their
// Cache-Control, within the bounds of [Config]: never others than 200, never longer than
// MaxAge, and after that only if the server confirms them, nor more bytes than MaxKept.
//
// Left to others: what is sent, and what an answer means. An answer with any status is
// an answer unless the request names media types; an error means that there was none,
// and names the host and never the whole address, which may hold a secret.
package fetch
