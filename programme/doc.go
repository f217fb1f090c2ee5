// Package programme reads programme files and applies them. A programme is one
// kind of credential that an office issues: its type and its labels, which
// claims it has, from which columns of the registry they come, which codes
// carry them, how long it is valid and how old its status may be. The file is
// YAML; docs/programmes.md is its manual, examples/programmes has eight.
//
// Start with [Parse], which reads a file and reports every fault in it at once,
// and [Programme.Map], which turns a record into the content of a credential.
// [Programme.CredentialType] is what verifiers learn about the type, and
// [Programme.Check] tries a programme on a source before anything is issued.
//
// What a value means is read by package programme/crosswalk. A value that
// cannot be carried over is a [Problem], never a guess and never dropped
// without a word; problems name line, column and claim and do not quote values.
//
// Left to others: where records come from (package registry), issuer, issue
// date and status slot of a credential (package issuance), its encoding
// (credential/cwt) and the picture of its code (qr/image).
//
// A file over 128 KiB is refused before it is read, as are YAML anchors, tags
// and further documents. Text of a claim is at most 256 characters long.
package programme
