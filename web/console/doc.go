// Package console is the registrar's console: HTTP for the people of an office.
//
// Start with [New], which makes a [Console] from a [Config]; [Console.Routes] is the
// table for package web. Every row of it (routes.go) names the [staff.Action] that it
// is, and the frame asks session, operator, standing, right and, where the row says
// so, the passkey anew, before the handler sees a [request]. What is not in the table
// of package staff nobody may do.
//
// A handler draws a page with [Console.render], refuses with an error (fault.go says
// which becomes which page) and ends a change with [Console.seeOther]. Forms are plain
// HTML; what was typed comes back with what is wrong beside it (form.go). Pages work
// without scripts, but for the ceremony of the passkey itself.
//
// Left to others: what may be done (staff), what is done (issuance, work), what is kept
// (store/desk), TLS, limits, logs (internal/web), sentences (internal/i18n).
package console
