package keys

// A Table verifies ES256 signatures of one key faster. In a browser there is none: it
// would make the program larger that every phone loads.
type Table struct{}

// Table returns nil.
func (k PublicKey) Table() *Table { return nil }

// Verify is never called.
func (*Table) Verify(_, _ []byte) bool { panic("keys: internal error: a table in a browser") }
