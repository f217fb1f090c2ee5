// Package desk keeps what the console of an office needs beside the issuer's own
// store: people and offices, passkeys, invitations, web sessions, proposals, and the
// work on records. It is a database of its own, a file or the schema sanad_desk on
// PostgreSQL, so that what is in it can be erased: names of people and of persons are
// here and not in the issuer's store.
//
// Start with [Open]. Each part has a file: staff.go (people, passkeys, invitations),
// session.go (web sessions, ceremonies), proposal.go (four eyes), work.go and
// work_index.go (items, prints, the index of the search). Tables of a part are
// a numbered file in migrations/, the same for both databases.
//
// Whatever works once (an invitation, a ceremony, an approval) is decided by the
// database in one transaction, for any number of processes.
//
// An error that is none of package staff's or of this package's means that it is not
// known whether the call had an effect.
package desk
