// Package work is the daily work at the registrar's desk: which records wait for
// what, who may move them on, and what is done when two people have agreed.
//
// Start with [New], which makes a [Desk] from a [Config]. An [Item] is a piece of
// work: to issue for a record, to replace, revoke, suspend or resume a credential.
// [Item.Queue] says where it waits, a table in item.go what may follow what.
// [Desk.Sheet] shows what a record would become, [Desk.Approve] agrees to exactly
// that, and [Desk.Run] does what is due, once, on whichever server comes first.
// [Desk.Refresh] and [Desk.Find] are the search by name.
//
// A person sees the records of their office and nothing else: whatever belongs to
// another is [ErrNoItem] or [ErrNoRecord], as if it did not exist.
//
// Left to others: who somebody is and which roles may do what (package staff), the
// rules of credentials (package issuance), tables (store/desk), pages (web/console)
// and the printed sheet (internal/docpdf).
//
// What is kept of a record is its id, as long as the work on it is kept, and keyed
// hashes of the folded words of its name. Values of records are read from their
// registry each time they are shown; they are in no item, event, error or log.
package work
