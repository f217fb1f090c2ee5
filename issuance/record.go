package issuance

import (
	"fmt"

	"github.com/sanad-id/sanad/programme"
)

// A RecordError says why no credential was issued for a record. It names line,
// columns and claims and never quotes a value.
type RecordError struct {
	// Line is the line of the record in its source, 0 if unknown.
	Line int
	// Problems are what is wrong with it, at least one.
	Problems []programme.Problem
	// Credential is the one that stands in the way, for the codes
	// "already_issued", "in_progress", "suspended", "ended", "duplicate_id"
	// and "repeated".
	Credential string
	// Released says of the code "repeated" that Credential was released: the request before
	// was not interrupted.
	Released bool

	reason error
}

// Codes of a [RecordError] beside those of packages programme and registry.
const (
	// CodeAlreadyIssued: the record holds a credential of the programme.
	CodeAlreadyIssued = "already_issued"
	// CodeInProgress: a credential for the record is on its way up the ladder, or
	// was left behind there.
	CodeInProgress = "in_progress"
	// CodeSuspended: the record holds a credential that is suspended, to which nothing
	// is added.
	CodeSuspended = "suspended"
	// CodeEnded: what a wallet was given before is revoked, or another has taken its
	// place, so that it gets no more by the same right.
	CodeEnded = "ended"
	// CodeDuplicate: the record was in the same batch before.
	CodeDuplicate = "duplicate_id"
	// CodeRepeated: the request was made before and has issued a credential.
	CodeRepeated = "repeated"
	// CodeConflict: its idempotency key was used for something else.
	CodeConflict = "idempotency_conflict"
	// CodeLint: what would be signed is not a well-formed credential.
	CodeLint = "lint"
	// CodeDraw: the file of the code could not be drawn.
	CodeDraw = "draw"
)

// Code is the code of the first problem.
func (e *RecordError) Code() string { return e.Problems[0].Code }

// Error names the line and up to three problems.
func (e *RecordError) Error() string {
	var b []byte
	if e.Line > 0 {
		b = fmt.Appendf(b, "line %d: ", e.Line)
	}
	for i, p := range e.Problems {
		if i == 3 {
			b = fmt.Appendf(b, "; and %d more", len(e.Problems)-i)
			break
		}
		if i > 0 {
			b = append(b, "; "...)
		}
		if p.Column != "" {
			b = fmt.Appendf(b, "column %q: ", p.Column)
		}
		if p.Claim != "" {
			b = fmt.Appendf(b, "claim %q: ", p.Claim)
		}
		b = append(b, p.Code...)
		if p.Detail != "" {
			b = fmt.Appendf(b, ": %s", p.Detail)
		}
	}
	return string(b)
}

// Unwrap returns the sentinel of the code: [ErrActiveExists],
// [ErrIdempotencyUsed], otherwise [ErrRecord].
func (e *RecordError) Unwrap() error { return e.reason }

// skips reports whether there was nothing to issue, as against something that
// went wrong: the record holds a credential, or the programme is not about it.
func (e *RecordError) skips() bool {
	switch e.Code() {
	case CodeAlreadyIssued, CodeDuplicate, programme.CodeNotEligible:
		return true
	}
	return false
}

func refuse(line int, code, detail string) *RecordError {
	return &RecordError{Line: line, Problems: []programme.Problem{{Line: line, Code: code, Detail: detail, Fatal: true}}, reason: ErrRecord}
}

func refuseHeld(line int, code, id, detail string, reason error) *RecordError {
	e := refuse(line, code, detail+" "+id)
	e.Credential, e.reason = id, reason
	return e
}
