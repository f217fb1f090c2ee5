package copytext_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/copytext"
)

func TestWriter(t *testing.T) {
	var b bytes.Buffer
	w := copytext.NewWriter(&b)
	w.Int(-7)
	w.Text("a\tb\nc\\d\be\vf\fg\r\x01é")
	w.Null()
	w.Bytes([]byte{0, 0xff})
	w.Text("")
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	w.Text(`\N`)
	if err := errors.Join(w.End(), w.Flush()); err != nil {
		t.Fatal(err)
	}
	// As PostgreSQL 15 writes the same row.
	want := "-7\ta\\tb\\nc\\\\d\\be\\vf\\fg\\r\x01é\t\\N\t\\\\x00ff\t\n" + `\\N` + "\n"
	if b.String() != want {
		t.Errorf("got  %q\nwant %q", b.String(), want)
	}
	row, err := copytext.NewReader(strings.NewReader(want[:strings.IndexByte(want, '\n')+1]), 5).Read()
	if err != nil {
		t.Fatal(err)
	}
	n, err1 := row[0].Int()
	raw, err2 := row[3].Bytes(nil)
	if err := errors.Join(err1, err2); err != nil || n != -7 || !bytes.Equal(raw, []byte{0, 0xff}) || !row[2].Null ||
		string(row[1].Text) != "a\tb\nc\\d\be\vf\fg\r\x01é" || row[4].Null || len(row[4].Text) != 0 {
		t.Errorf("read back %+v, %v", row, err)
	}
	row, err = copytext.NewReader(strings.NewReader(`\\N`+"\n"), 1).Read()
	if err != nil || row[0].Null || string(row[0].Text) != `\N` {
		t.Errorf("text that looks like NULL: %+v, %v", row, err)
	}
}

func TestWriterRefuses(t *testing.T) {
	for name, add := range map[string]func(*copytext.Writer){
		"not UTF-8":  func(w *copytext.Writer) { w.Text("a\xff") },
		"NUL":        func(w *copytext.Writer) { w.Text("a\x00") },
		"no columns": func(*copytext.Writer) {},
		"a number that is not whole": func(w *copytext.Writer) {
			if w.Row([]any{int64(1), nil, 0.5}) == nil {
				t.Error("the row was taken")
			}
		},
		"too many columns": func(w *copytext.Writer) {
			for range 65 {
				w.Int(1)
			}
		},
	} {
		w := copytext.NewWriter(io.Discard)
		add(w)
		if err := w.End(); !errors.Is(err, copytext.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
		w.Int(1)
		if w.End() == nil || w.Flush() == nil {
			t.Errorf("%s: the error did not stay", name)
		}
	}
}

func TestReaderRefuses(t *testing.T) {
	const good = "1\tab\t\\N\n"
	if _, err := copytext.NewReader(strings.NewReader(good), 3).Read(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, old, new string }{
		{"too few columns", "1\t", ""},
		{"too many columns", "1\t", "1\t\t"},
		{"row breaks off", "\n", ""},
		{"raw carriage return", "ab", "a\rb"},
		{"raw backspace", "ab", "a\bb"},
		{"raw NUL", "ab", "a\x00b"},
		{"unknown escape", "ab", `a\qb`},
		{"octal escape", "ab", `\101`},
		{"hexadecimal escape", "ab", `\x41`},
		{"end of data", "ab", `\.`},
		{"half an escape", "\\N", "\\"},
		{"text behind NULL", "\\N", "\\Na"},
		{"NULL behind text", "\\N", "a\\N"},
		{"NULL twice", "\\N", "\\N\\N"},
		{"not UTF-8", "ab", "a\xff"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spoiled := strings.Replace(good, tt.old, tt.new, 1)
			if row, err := copytext.NewReader(strings.NewReader(spoiled), 3).Read(); !errors.Is(err, copytext.ErrMalformed) {
				t.Errorf("%q: %+v, %v", spoiled, row, err)
			}
		})
	}
}

func TestValueRefuses(t *testing.T) {
	for _, s := range []string{"", "+1", "01", "-0", "1.0", " 1", "9223372036854775808"} {
		if n, err := (copytext.Value{Text: []byte(s)}).Int(); err == nil {
			t.Errorf("%q is the number %d", s, n)
		}
	}
	if _, err := (copytext.Value{Null: true}).Int(); err == nil {
		t.Error("NULL is a number")
	}
	for _, s := range []string{"", "00", `\x0`, `\xAB`, `\x0g`, `\X00`} {
		if b, err := (copytext.Value{Text: []byte(s)}).Bytes(nil); err == nil {
			t.Errorf("%q is the binary value %x", s, b)
		}
	}
}

func TestReaderTooLong(t *testing.T) {
	const most = 1 << 20
	for _, n := range []int64{most - 1, most - 2} {
		in := io.MultiReader(strings.NewReader("1\t"), io.LimitReader(zeros{}, n), strings.NewReader("\n"))
		r := copytext.NewReader(in, 2)
		r.SetMost(most)
		if _, err := r.Read(); errors.Is(err, copytext.ErrMalformed) != (n+2 > most) {
			t.Errorf("a row of %d bytes with a limit of %d: %v", n+2, most, err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

// FuzzReader: what is read is written again as it was.
func FuzzReader(f *testing.F) {
	for _, s := range []string{"1\ta\t\\N\n", "\t\t\n", "\\\\x00\t\\t\\n\t\\\\N\n2\tb\tc\n", "\\N\t\\N\t\\N\n"} {
		f.Add([]byte(s))
	}
	boundtest.Fuzz(f, func(t *testing.T, in []byte) {
		r := copytext.NewReader(bytes.NewReader(in), 3)
		var out bytes.Buffer
		w := copytext.NewWriter(&out)
		for {
			row, err := r.Read()
			if err == io.EOF {
				break
			}
			if err != nil {
				if !errors.Is(err, copytext.ErrMalformed) {
					t.Fatalf("%q: %v", in, err)
				}
				return
			}
			for _, v := range row {
				if v.Null {
					w.Null()
				} else {
					w.Text(string(v.Text))
				}
			}
			if err := w.End(); err != nil {
				t.Fatalf("%q: %v", in, err)
			}
		}
		if err := w.Flush(); err != nil || !bytes.Equal(in, out.Bytes()) {
			t.Fatalf("read %q, wrote %q, %v", in, out.Bytes(), err)
		}
	})
}
