// Package staff is the registrar's people: who they are, what each may do, and which
// deeds need two of them.
//
// Start with [Rules], the table of every [Action] with the roles that may do it, the
// states of its subject in which it can be done, and whether it needs a passkey anew.
// What is not in the table nobody may do. [Operator.May] asks it. [Proposal] is a deed
// that waits for a second person (four eyes); it is bound to the SHA-256 of exactly
// what that person was shown.
//
// Left to others: where people are kept and which of two was first (store/desk), how
// they sign in and what they see (web/console), what is done (issuance, work).
//
// An operator is known to the audit log by [Operator.ID], which is random and says
// nothing about the person. Names stay in store/desk.
package staff
