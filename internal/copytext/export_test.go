package copytext

// SetMost sets the limit of a row, for tests.
func (r *Reader) SetMost(n int) { r.most = n }
