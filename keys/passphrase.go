//go:build !js

package keys

import (
	"bytes"
	"fmt"
)

// ReadPassphrase reads the passphrase of a keystore from a file that only its
// owner may read, without the line break at its end. It returns the errors of
// [OpenFile] for the state of the file, and [ErrPassphrase] if it holds no
// passphrase or several lines.
func ReadPassphrase(path string) ([]byte, error) {
	b, err := readPrivate(path)
	if err != nil {
		return nil, fmt.Errorf("read passphrase file %s: %w", path, err)
	}
	b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	switch {
	case len(b) == 0:
		return nil, fmt.Errorf("read passphrase file %s: %w: the file is empty", path, ErrPassphrase)
	case bytes.ContainsAny(b, "\r\n"):
		return nil, fmt.Errorf("read passphrase file %s: %w: the file has more than one line", path, ErrPassphrase)
	case len(b) > maxPassphrase:
		return nil, fmt.Errorf("read passphrase file %s: %w: it has more than %d bytes", path, ErrPassphrase, maxPassphrase)
	}
	return b, nil
}
