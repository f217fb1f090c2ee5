package verifier

import (
	"bytes"
	"errors"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/qr/image"
	"github.com/sanad-id/sanad/verification"
)

// A Proof is what somebody gave for the rules to judge: a picture or the text of a
// code, or a credential.
type Proof struct {
	// Data is the text of the code or the bytes of the credential.
	Data []byte
	// Kind is set if there is nothing to judge, and Refused says why.
	Kind    string
	Refused error
	// Codes are the texts of all codes in a picture, Ignored how many of them were left
	// aside.
	Codes   []string
	Ignored int
}

// ReadProof looks into a picture; everything else is taken as it is.
func ReadProof(b []byte) Proof {
	in := Proof{Data: b}
	if !image.IsPicture(b) {
		if kind := foreign(b); kind != "" {
			in.Kind, in.Refused = "picture", credential.Reject(credential.UnsupportedFormat, "a %s; give a PNG or JPEG picture of the code", kind)
		} else if len(b) > image.MaxFile {
			in.Kind, in.Refused = string(qr.Unknown), credential.Reject(credential.TooLarge, "a file of more than %d MiB", image.MaxFile>>20)
		}
		return in
	}
	in.Kind = "picture"
	codes, err := image.Read(b)
	in.Codes = codes
	switch {
	case errors.Is(err, image.ErrTooLarge):
		in.Refused = credential.Reject(credential.TooLarge, "%v", err)
	case errors.Is(err, image.ErrNoCode):
		in.Refused = credential.Reject(credential.NoCode, "")
	case err != nil:
		in.Refused = credential.Reject(credential.UnknownFormat, "%v", err)
	default:
		var ok bool
		var text string
		if text, in.Ignored, ok = qr.Choose(codes); !ok {
			in.Refused = credential.Reject(credential.SeveralCodes, "%d different codes in the picture", len(codes))
			break
		}
		in.Data = []byte(text)
	}
	return in
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

// A Judge makes reports, as a [verification.Checker] does.
type Judge interface {
	Check(presented []byte) verification.Report
	Unread(kind string, why error) verification.Report
}

// Judge makes the report on what was given.
func (in Proof) Judge(c Judge) verification.Report {
	if in.Refused != nil {
		return c.Unread(in.Kind, in.Refused)
	}
	r := c.Check(in.Data)
	if in.Ignored > 0 {
		r.Warnings = append(r.Warnings, verification.WarnOtherCodes)
	}
	return r
}
