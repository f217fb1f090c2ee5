package keys_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
)

// now is the present of the tests.
var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

var passphrase = []byte(keystest.Passphrase)

// goldenFile is a keystore of version 1 with two keys.
const goldenFile = "testdata/version1.keystore"

var update = flag.Bool("update", false, "write the golden files anew")

// TestGoldenFile opens a file that an earlier program wrote.
func TestGoldenFile(t *testing.T) {
	if *update {
		f := keystest.File(t)
		k, err := keys.Bootstrap(t.Context(), f, keys.Spec{Purpose: keys.Credential, Created: now})
		if err != nil {
			t.Fatal(err)
		}
		k, err = k.Retire(now.AddDate(0, 1, 0).Add(-time.Second))
		if err = errors.Join(err, f.Update(t.Context(), k)); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Generate(t.Context(), keys.Spec{Purpose: keys.Audit, Created: now}); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(f.Path())
		if err = errors.Join(err, os.WriteFile(goldenFile, b, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	all, err := keys.OpenBytes(b, passphrase)
	if err != nil || len(all) != 2 {
		t.Fatalf("OpenBytes: %v, %v, want 2 keys", all, err)
	}
	if k := all[0]; k.Purpose != keys.Credential || k.State != keys.Retired || !k.SignUntil.Equal(now.AddDate(0, 1, 0)) || k.Public.Algorithm() != keys.ES256 {
		t.Errorf("first key: %+v", k)
	}
	if k := all[1]; k.Purpose != keys.Audit || k.State != keys.Planned || k.Public.Algorithm() != keys.EdDSA {
		t.Errorf("second key: %+v", k)
	}
}

func TestFileKeystore(t *testing.T) {
	keystest.TestKeystore(t, func(t *testing.T) func() keys.Keystore {
		path := keystest.File(t).Path()
		return func() keys.Keystore {
			f, err := keys.OpenFile(path, passphrase)
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
	})
}

func TestMemoryKeystore(t *testing.T) {
	keystest.TestKeystore(t, func(*testing.T) func() keys.Keystore {
		m := new(keystest.Memory)
		return func() keys.Keystore { return m }
	})
}

func TestRotationsWithoutGap(t *testing.T) {
	keystest.Rotate(t, new(keystest.Memory), 50)
}

// reseal puts the checksum of a file right after a change.
func reseal(b []byte) []byte {
	b = b[:len(b)-sha256.Size]
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// look returns what is at path: the mode, and the content of a regular file.
func look(path string) string {
	info, err := os.Lstat(path)
	if err != nil {
		return err.Error()
	}
	if !info.Mode().IsRegular() {
		return info.Mode().String()
	}
	b, err := os.ReadFile(path)
	return fmt.Sprintf("%v %x %v", info.Mode(), sha256.Sum256(b), err)
}

// TestOpenFileRefuses is KEY-07 and the keystore's part of promise P26: each
// state that a program must not start on has an error that says which it is, and
// the file is left as it was.
func TestOpenFileRefuses(t *testing.T) {
	const costAt, saltAt, lengthAt, bodyAt = 16, 28, 76, 80
	write := func(change func(b []byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, change(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	chmod := func(mode os.FileMode) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	replace := func(with func(path string) error) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			if err := errors.Join(os.Remove(path), with(path)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, path string)
		want  error
		hint  string
	}{
		{"P26 missing", replace(func(string) error { return nil }), keys.ErrNoFile, "never replace a lost file"},
		{"P26 empty", write(func([]byte) []byte { return nil }), keys.ErrTruncatedFile, "backup"},
		{"P26 foreign: a text", write(func([]byte) []byte { return []byte("issuer: xx\n") }), keys.ErrForeignFile, "check the path"},
		{"P26 foreign: a PEM key", write(func([]byte) []byte { return []byte("-----BEGIN PRIVATE KEY-----\n") }), keys.ErrForeignFile, "check the path"},
		{"P26 foreign: a database", write(func([]byte) []byte { return append([]byte("SQLite format 3\x00"), make([]byte, 4096)...) }), keys.ErrForeignFile, "check the path"},
		{"P26 foreign: a directory", replace(func(p string) error { return os.Mkdir(p, 0o700) }), keys.ErrForeignFile, "regular file"},
		{"P26 foreign: a pipe", replace(func(p string) error { return syscall.Mkfifo(p, 0o600) }), keys.ErrForeignFile, "regular file"},
		{"P26 foreign: huge", write(func(b []byte) []byte { return append(b, make([]byte, 9<<20)...) }), keys.ErrForeignFile, "larger"},
		{"P26 older", write(func(b []byte) []byte { b[15] = 0; return reseal(b) }), keys.ErrFileVersion, "0"},
		{"P26 newer", write(func(b []byte) []byte { b[15] = 2; return reseal(b) }), keys.ErrFileVersion, "newer"},
		{"P26 corrupt: a bit of the body", write(func(b []byte) []byte { b[bodyAt+30] ^= 1; return b }), keys.ErrCorruptFile, "backup"},
		{"P26 corrupt: a bit of the salt", write(func(b []byte) []byte { b[saltAt] ^= 1; return b }), keys.ErrCorruptFile, "backup"},
		{"P26 corrupt: longer", write(func(b []byte) []byte { return append(b, 0) }), keys.ErrCorruptFile, "backup"},
		{"P26 tampered: body, checksum put right", write(func(b []byte) []byte { b[bodyAt+30] ^= 1; return reseal(b) }), keys.ErrCorruptFile, "changed"},
		{"P26 tampered: cheaper parameters", write(func(b []byte) []byte { b[costAt+3] ^= 0x10; return reseal(b) }), keys.ErrPassphrase, "check"},
		{"P26 tampered: memory beyond all bounds", write(func(b []byte) []byte {
			binary.BigEndian.PutUint32(b[costAt:], 1<<31)
			return reseal(b)
		}), keys.ErrCorruptFile, "out of bounds"},
		{"P26 tampered: passes beyond all bounds", write(func(b []byte) []byte {
			binary.BigEndian.PutUint32(b[costAt+4:], 1<<31)
			return reseal(b)
		}), keys.ErrCorruptFile, "out of bounds"},
		{"P26 tampered: 257 threads", write(func(b []byte) []byte {
			binary.BigEndian.PutUint32(b[costAt+8:], 257)
			return reseal(b)
		}), keys.ErrCorruptFile, "out of bounds"},
		{"KEY-07 readable by the group", chmod(0o640), keys.ErrFileMode, "0640"},
		{"KEY-07 readable by the world", chmod(0o644), keys.ErrFileMode, "chmod"},
		{"KEY-07 writable by the world", chmod(0o602), keys.ErrFileMode, "chmod"},
		{"KEY-07 truncated by a byte", write(func(b []byte) []byte { return b[:len(b)-1] }), keys.ErrTruncatedFile, "backup"},
		{"KEY-07 truncated in the header", write(func(b []byte) []byte { return b[:40] }), keys.ErrTruncatedFile, "backup"},
		{"KEY-07 truncated in its first word", write(func(b []byte) []byte { return b[:5] }), keys.ErrTruncatedFile, "backup"},
		{"KEY-07 truncated, length beyond the end", write(func(b []byte) []byte {
			binary.BigEndian.PutUint32(b[lengthAt:], 1<<32-1)
			return reseal(b)
		}), keys.ErrTruncatedFile, "backup"},
		{"KEY-07 swapped for another's", replace(func(p string) error {
			_, err := keystest.CheapCost().CreateFile(p, []byte("another passphrase"), nil)
			return err
		}), keys.ErrPassphrase, "check"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ks := keystest.File(t)
			if _, err := keys.OpenFile(ks.Path(), passphrase); err != nil {
				t.Fatalf("the good file: %v", err)
			}
			tt.spoil(t, ks.Path())
			before := look(ks.Path())
			f, err := keys.OpenFile(ks.Path(), passphrase)
			if !errors.Is(err, tt.want) {
				t.Fatalf("OpenFile: %v, %v, want %v", f, err, tt.want)
			}
			for _, other := range fileErrors {
				if other != tt.want && errors.Is(err, other) {
					t.Errorf("OpenFile: %v is %v as well", err, other)
				}
			}
			if !strings.Contains(err.Error(), ks.Path()) || !strings.Contains(err.Error(), tt.hint) {
				t.Errorf("OpenFile: %q, want path and %q in it", err, tt.hint)
			}
			if after := look(ks.Path()); after != before {
				t.Error("OpenFile changed the file")
			}
		})
	}
}

var fileErrors = []error{
	keys.ErrNoFile, keys.ErrFileExists, keys.ErrFileMode, keys.ErrForeignFile,
	keys.ErrFileVersion, keys.ErrTruncatedFile, keys.ErrCorruptFile, keys.ErrPassphrase,
}

func TestOpenFileRefusesPassphrases(t *testing.T) {
	ks := keystest.File(t)
	for _, wrong := range []string{"", "wrong passphrase", keystest.Passphrase + " ", keystest.Passphrase + "\n", strings.Repeat("x", 2000)} {
		if f, err := keys.OpenFile(ks.Path(), []byte(wrong)); !errors.Is(err, keys.ErrPassphrase) {
			t.Errorf("OpenFile with %.30q: %v, %v, want ErrPassphrase", wrong, f, err)
		}
	}
}

// TestOpenFileRefusesContent seals content that no Sanad writes.
func TestOpenFileRefusesContent(t *testing.T) {
	const master = `"master":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="`
	if _, err := keys.OpenBytes(keys.SealBytes(passphrase, `{"identity":"i",`+master+`,"keys":[]}`), passphrase); err != nil {
		t.Fatalf("good content: %v", err)
	}
	for name, text := range map[string]string{
		"nothing":             ``,
		"not JSON":            `identity`,
		"an unknown member":   `{"identity":"i",` + master + `,"keys":[],"more":1}`,
		"something after it":  `{"identity":"i",` + master + `,"keys":[]} {}`,
		"no identity":         `{` + master + `,"keys":[]}`,
		"a short master":      `{"identity":"i","master":"AAAA","keys":[]}`,
		"a key without parts": `{"identity":"i",` + master + `,"keys":[{}]}`,
		"a key that is none":  `{"identity":"i",` + master + `,"keys":[{"id":"0000000000000000","algorithm":"ES256","private":"AAAA"}]}`,
	} {
		if _, err := keys.OpenBytes(keys.SealBytes(passphrase, text), passphrase); !errors.Is(err, keys.ErrCorruptFile) {
			t.Errorf("%s: %v, want ErrCorruptFile", name, err)
		}
	}
}

func TestCreateFileRefuses(t *testing.T) {
	dir := t.TempDir()
	there := keystest.File(t).Path()
	for name, tt := range map[string]struct {
		path, passphrase string
		cost             keys.Cost
		want             error
	}{
		"a file that exists":    {there, keystest.Passphrase, keystest.CheapCost(), keys.ErrFileExists},
		"a directory":           {dir, keystest.Passphrase, keystest.CheapCost(), keys.ErrFileExists},
		"a short passphrase":    {filepath.Join(dir, "a"), "seven77", keystest.CheapCost(), keys.ErrPassphrase},
		"no passphrase":         {filepath.Join(dir, "a"), "", keystest.CheapCost(), keys.ErrPassphrase},
		"a long passphrase":     {filepath.Join(dir, "a"), strings.Repeat("x", 1025), keystest.CheapCost(), keys.ErrPassphrase},
		"no folder":             {filepath.Join(dir, "b", "a"), keystest.Passphrase, keystest.CheapCost(), os.ErrNotExist},
		"a cost out of bounds":  {filepath.Join(dir, "a"), keystest.Passphrase, keys.Cost{Memory: 1 << 30, Time: 1, Threads: 1}, nil},
		"no cost":               {filepath.Join(dir, "a"), keystest.Passphrase, keys.Cost{}, nil},
		"too little for argon2": {filepath.Join(dir, "a"), keystest.Passphrase, keys.Cost{Memory: 15, Time: 1, Threads: 2}, nil},
	} {
		f, err := tt.cost.CreateFile(tt.path, []byte(tt.passphrase), nil)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: CreateFile: %v, %v, want %v", name, f, err, tt.want)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := keystest.CheapCost().CreateFile(filepath.Join(dir, "a"), passphrase, strings.NewReader("too little")); err == nil {
		t.Error("CreateFile went on without randomness")
	}
}

func TestDefaultCost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.sanad")
	f, err := keys.CreateFile(path, passphrase, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, cost, err := keys.Recode(b); err != nil || cost != (keys.Cost{Memory: 19 << 10, Time: 4, Threads: 1}) {
		t.Errorf("cost in the file: %+v, %v", cost, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode: %v, %v, want 0600", info.Mode(), err)
	}
	again, err := keys.OpenFile(path, passphrase)
	if err != nil || again.Identity() != f.Identity() {
		t.Errorf("OpenFile: %v, %v", again, err)
	}
}

func TestFileWhileOpen(t *testing.T) {
	spec := keys.Spec{Purpose: keys.Credential, Created: now}
	t.Run("mode stays tight and nothing is left behind", func(t *testing.T) {
		ks := keystest.File(t)
		if err := os.WriteFile(ks.Path()+".new", []byte("left by a crash"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ks.Generate(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(ks.Path())
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode: %v, %v, want 0600", info.Mode(), err)
		}
		files, err := os.ReadDir(filepath.Dir(ks.Path()))
		if err != nil || len(files) != 1 {
			t.Errorf("files: %v, %v, want the keystore only", files, err)
		}
	})
	t.Run("KEY-07 replaced by another keystore", func(t *testing.T) {
		ks, other := keystest.File(t), keystest.File(t)
		if err := os.Rename(other.Path(), ks.Path()); err != nil {
			t.Fatal(err)
		}
		if _, err := ks.Generate(t.Context(), spec); !errors.Is(err, keys.ErrForeignFile) {
			t.Errorf("Generate: %v, want ErrForeignFile", err)
		}
		if ks.Identity() == other.Identity() {
			t.Error("two files have one identity")
		}
	})
	t.Run("KEY-07 opened to others", func(t *testing.T) {
		ks := keystest.File(t)
		if err := os.Chmod(ks.Path(), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ks.Keys(t.Context()); !errors.Is(err, keys.ErrFileMode) {
			t.Errorf("Keys: %v, want ErrFileMode", err)
		}
	})
	t.Run("what others change shows, however long nothing did", func(t *testing.T) {
		ks := keystest.File(t)
		rest := func(n int) { // until it is read no more
			t.Helper()
			then := time.Now().Add(-time.Hour)
			if err := os.Chtimes(ks.Path(), then, then); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if all, err := ks.Keys(t.Context()); err != nil || len(all) != n {
					t.Fatalf("Keys: %v, %v, want %d", all, err, n)
				}
			}
		}
		rest(0)
		for n := 1; n < 4; n++ {
			other, err := keys.OpenFile(ks.Path(), passphrase)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := other.Generate(t.Context(), spec); err != nil {
				t.Fatal(err)
			}
			rest(n) // with the same time as before
		}
		b, err := os.ReadFile(ks.Path())
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)-1] ^= 1 // in place, of the same length
		if err := os.WriteFile(ks.Path(), b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ks.Keys(t.Context()); err == nil {
			t.Error("Keys of a file that was altered in place: no error")
		}
		b[len(b)-1] ^= 1
		if err := os.WriteFile(ks.Path(), b, 0o600); err != nil {
			t.Fatal(err)
		}
		rest(3)
		if err := os.Chmod(ks.Path(), 0o640); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := ks.Keys(t.Context()); !errors.Is(err, keys.ErrFileMode) {
				t.Errorf("Keys: %v, want ErrFileMode", err)
			}
		}
	})
	t.Run("deleted", func(t *testing.T) {
		ks := keystest.File(t)
		if err := os.Remove(ks.Path()); err != nil {
			t.Fatal(err)
		}
		if _, err := ks.Generate(t.Context(), spec); !errors.Is(err, keys.ErrNoFile) {
			t.Errorf("Generate: %v, want ErrNoFile", err)
		}
		if _, err := os.Stat(ks.Path()); !errors.Is(err, os.ErrNotExist) {
			t.Error("Generate made a new file")
		}
	})
	t.Run("a link stays a link", func(t *testing.T) {
		ks := keystest.File(t)
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(ks.Path(), link); err != nil {
			t.Fatal(err)
		}
		through, err := keys.OpenFile(link, passphrase)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := through.Generate(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
		if all, err := ks.Keys(t.Context()); err != nil || len(all) != 1 {
			t.Errorf("Keys of the file itself: %v, %v, want 1", all, err)
		}
	})
	t.Run("locked by another program", func(t *testing.T) {
		ks := keystest.File(t)
		f, err := os.Open(ks.Path())
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		if _, err := ks.Generate(ctx, spec); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Generate: %v, want DeadlineExceeded", err)
		}
		if all, err := ks.Keys(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("Keys: %v, %v: reading needs no lock", all, err)
		}
	})
	t.Run("a failed write changes nothing", func(t *testing.T) {
		ks := keystest.File(t)
		k, err := ks.Generate(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		// A folder in the way of the new file, which cannot be removed.
		if err := os.MkdirAll(ks.Path()+".new/x", 0o700); err != nil {
			t.Fatal(err)
		}
		if k, err := ks.Generate(t.Context(), spec); err == nil {
			t.Fatalf("Generate: %v", k)
		}
		published, err := k.Publish(spec.Created)
		if err != nil {
			t.Fatal(err)
		}
		if err := ks.Update(t.Context(), published); err == nil {
			t.Error("Update: no error")
		}
		if all, err := ks.Keys(t.Context()); err != nil || len(all) != 1 || !all[0].Published.IsZero() {
			t.Errorf("Keys: %v, %v, want the one of before, not published", all, err)
		}
	})
}

func TestSecret(t *testing.T) {
	ks := keystest.File(t)
	a, err := ks.Secret("record references")
	if err != nil || len(a) != 32 {
		t.Fatalf("Secret: %d bytes, %v", len(a), err)
	}
	again, err := keys.OpenFile(ks.Path(), passphrase)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := again.Secret("record references"); err != nil || !bytes.Equal(a, b) {
		t.Errorf("opened again the secret is another: %v", err)
	}
	if b, err := ks.Secret("record reference"); err != nil || bytes.Equal(a, b) {
		t.Errorf("another label gives the same secret: %v", err)
	}
	if b, err := keystest.File(t).Secret("record references"); err != nil || bytes.Equal(a, b) {
		t.Errorf("another file gives the same secret: %v", err)
	}
	if _, err := ks.Secret(""); err == nil {
		t.Error("Secret without a label")
	}
}

func TestReadPassphrase(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		mode os.FileMode
		want string
		err  error
	}{
		"plain":             {"open sesame", 0o600, "open sesame", nil},
		"with a line break": {"open sesame\n", 0o400, "open sesame", nil},
		"from Windows":      {"open sesame\r\n", 0o600, "open sesame", nil},
		"space is kept":     {" open sesame \n", 0o600, " open sesame ", nil},
		"readable by group": {"open sesame", 0o640, "", keys.ErrFileMode},
		"empty":             {"\n", 0o600, "", keys.ErrPassphrase},
		"two lines":         {"open\nsesame\n", 0o600, "", keys.ErrPassphrase},
		"too long":          {strings.Repeat("x", 1025), 0o600, "", keys.ErrPassphrase},
	} {
		path := filepath.Join(t.TempDir(), "passphrase")
		if err := errors.Join(os.WriteFile(path, []byte(tt.text), 0o600), os.Chmod(path, tt.mode)); err != nil {
			t.Fatal(err)
		}
		got, err := keys.ReadPassphrase(path)
		if string(got) != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: ReadPassphrase: %q, %v, want %q, %v", name, got, err, tt.want, tt.err)
		}
		if err != nil && strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: the error tells the passphrase: %v", name, err)
		}
	}
	if _, err := keys.ReadPassphrase(filepath.Join(t.TempDir(), "none")); !errors.Is(err, keys.ErrNoFile) {
		t.Errorf("ReadPassphrase: %v, want ErrNoFile", err)
	}
}

// TestPassphraseIsNotKept looks for the passphrase in everything that a File
// holds, by printing it without its methods.
func TestPassphraseIsNotKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.sanad")
	f, err := keystest.CheapCost().CreateFile(path, passphrase, nil)
	if err != nil {
		t.Fatal(err)
	}
	type bare keys.File
	if out := prints((*bare)(f)); strings.Contains(out, keystest.Passphrase) || strings.Contains(out, fmt.Sprintf("%x", passphrase)) {
		t.Error("the passphrase is in the File")
	}
}
