package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/qr/image"
)

// A presented is what a file holds for the rules to judge.
type presented struct {
	name string // of the file, "-" for standard input
	data []byte // the text of a code or the bytes of a credential
	kind string // set if refused
	// refused says why there is nothing to judge.
	refused error
	// codes are the texts of all codes in a picture.
	codes []string
	// ignored is how many codes were left aside.
	ignored int
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
// that the file could not be read; what is wrong with its content is in refused.
func present(cmd *cobra.Command, name string) (presented, error) {
	b, err := readAll(cmd, name, image.MaxFile)
	if err != nil {
		return presented{}, err
	}
	in := presented{name: name, data: b}
	if !image.IsPicture(b) {
		if kind := foreign(b); kind != "" {
			in.kind, in.refused = "picture", credential.Reject(credential.UnsupportedFormat, "a %s; give a PNG or JPEG picture of the code", kind)
		} else if len(b) > image.MaxFile {
			in.kind, in.refused = string(qr.Unknown), credential.Reject(credential.TooLarge, "a file of more than %d MiB", image.MaxFile>>20)
		}
		return in, nil
	}
	in.kind = "picture"
	in.codes, err = image.Read(b)
	switch {
	case errors.Is(err, image.ErrTooLarge):
		in.refused = credential.Reject(credential.TooLarge, "%v", err)
	case errors.Is(err, image.ErrNoCode):
		in.refused = credential.Reject(credential.NoCode, "")
	case err != nil:
		in.refused = credential.Reject(credential.UnknownFormat, "%v", err)
	default:
		in.choose()
	}
	return in, nil
}

// choose takes the code that can be checked. A certificate has a second code
// beside it that leads to a page of help; two that can be checked are one too
// many, since nobody could say which of them the verdict is about.
func (in *presented) choose() {
	var readable []string
	for _, c := range in.codes {
		if qr.Recognise(c).Readable() {
			readable = append(readable, c)
		}
	}
	switch {
	case len(in.codes) == 1:
		in.data = []byte(in.codes[0])
	case len(readable) == 1:
		in.data, in.ignored = []byte(readable[0]), len(in.codes)-1
	default:
		in.refused = credential.Reject(credential.SeveralCodes, "%d different codes in the picture", len(in.codes))
	}
}

// foreign names files that people give and we do not read.
func foreign(b []byte) string {
	for _, f := range []struct{ magic, name string }{
		{"%PDF-", "PDF document"}, {"GIF8", "GIF picture"}, {"BM", ""}, {"II*\x00", "TIFF picture"}, {"MM\x00*", "TIFF picture"},
	} {
		if f.name != "" && bytes.HasPrefix(b, []byte(f.magic)) {
			return f.name
		}
	}
	if len(b) > 12 && string(b[:4]) == "RIFF" && string(b[8:12]) == "WEBP" {
		return "WebP picture"
	}
	if len(b) > 12 && string(b[4:8]) == "ftyp" {
		return "HEIC or AVIF picture"
	}
	return ""
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
