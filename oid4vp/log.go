package oid4vp

import (
	"fmt"
	"io"
	"log/slog"
)

// What people show, and the secrets that tie it to one request, never reach a log:
// these types say what they are and nothing of what is in them, however they are
// printed.

// String names the request by who makes it.
func (r *Request) String() string { return fmt.Sprintf("request of %s", cut(r.Client.ID.String())) }

// LogValue is String.
func (r *Request) LogValue() slog.Value { return slog.StringValue(r.String()) }

// String says how many presentations there are.
func (t VPToken) String() string { return fmt.Sprintf("%d presentations", t.Count()) }

// GoString is String.
func (t VPToken) GoString() string { return t.String() }

// LogValue is String.
func (t VPToken) LogValue() slog.Value { return slog.StringValue(t.String()) }

// String names the format and the type.
func (c Credential) String() string {
	return fmt.Sprintf("%s credential of types %q", c.Format, c.Types)
}

// GoString is String.
func (c Credential) GoString() string { return c.String() }

// LogValue is String.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// String names the claim.
func (f FoundClaim) String() string {
	return fmt.Sprintf("claim %s, %d values", PathText(f.Query.Path), len(f.Values))
}

// GoString is String.
func (f FoundClaim) GoString() string { return f.String() }

// LogValue is String.
func (f FoundClaim) LogValue() slog.Value { return slog.StringValue(f.String()) }

// Format names the type, for every verb.
func (d TransactionData) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "transaction data "+cut(d.Type))
}

// LogValue is what Format writes.
func (d TransactionData) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(d)) }
