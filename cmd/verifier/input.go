package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/api/verifier"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/qr/image"
)

// A presented is what a file holds for the rules to judge.
type presented struct {
	name string // of the file, "-" for standard input
	verifier.Proof
}

// readAll reads a file, or standard input for "-", up to a limit and one byte
// more, so that the caller can tell what is too large.
func readAll(cmd *cobra.Command, name string, limit int64) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(cmd.InOrStdin(), limit+1))
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// present reads a file and the code in it, if it is a picture. An error means
// that the file could not be read; what is wrong with its content is in Refused.
func present(cmd *cobra.Command, name string) (presented, error) {
	b, err := readAll(cmd, name, image.MaxFile)
	if err != nil {
		return presented{}, err
	}
	return presented{name, verifier.ReadProof(b)}, nil
}

// readKey reads the public key of --key.
func readKey(cmd *cobra.Command, name string) (*keys.PublicKey, error) {
	b, err := readAll(cmd, name, 64<<10)
	if err != nil {
		return nil, err
	}
	key, err := keys.ParsePublicKey(b)
	if err != nil {
		return nil, cli.Hint(fmt.Errorf("read key %s: %w", name, err), "--key takes one public key as JWK, PEM or COSE_Key")
	}
	return &key, nil
}
