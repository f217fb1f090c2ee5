package audit_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/internal/boundtest"
	"github.com/sanad-id/sanad/internal/durable"
	"github.com/sanad-id/sanad/keys"
)

// published is a checkpoint of a public log with co-signatures of public
// witnesses, as it stands in tests of other programs (a Certificate Transparency log
// of transparency.dev, May 2026).
const published = `arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

— arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
— transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==
— witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==
— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
— witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==
`

const (
	publishedLog     = "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f"
	remora           = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"
	littleGarden     = "transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM"
	smartit          = "witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO"
	publishedSeconds = 0x6a122120
)

// TestPublishedCosignatures reads what other programs have signed.
func TestPublishedCosignatures(t *testing.T) {
	c, err := audit.OpenCosigned([]byte(published), publishedLog, remora+"\n"+littleGarden+"\n"+smartit+"\n")
	if err != nil {
		t.Fatal(err)
	}
	if c.Size != 1432088532 || len(c.Cosignatures) != 3 || c.Unknown != 2 || len(c.Signers) != 1 {
		t.Fatalf("%+v", c)
	}
	for _, s := range c.Cosignatures {
		if s.Time.Unix() != publishedSeconds || !strings.Contains(published, "\n"+string(s.Line)) {
			t.Errorf("%+v", s)
		}
	}
	for i := range len(published) {
		spoiled := []byte(published)
		spoiled[i] ^= 1
		again, err := audit.OpenCosigned(spoiled, publishedLog, remora)
		// Other signatures may be anything, as long as ours is there.
		if err == nil && (again.Head != c.Head || again.Origin != c.Origin) {
			t.Fatalf("byte %d changed: %+v", i, again)
		}
	}
	for _, key := range []string{remora, littleGarden, smartit} {
		id, err := audit.CheckWitnessKey(key)
		if err != nil || !strings.HasPrefix(key, id+"+") {
			t.Errorf("CheckWitnessKey(%q) = %q, %v", key, id, err)
		}
	}
}

// A bed is a witness in its folder.
type bed struct {
	t      testing.TB
	state  string
	signer keys.Signer
	log    keys.Signer
	now    time.Time
	*audit.Witness
}

func newWitness(t testing.TB, seed byte, logs string) *bed {
	b := &bed{
		t: t, state: t.TempDir(), log: newSigner(t, 1), now: start.Add(time.Hour),
		signer: newSigner(t, seed, func(k *keys.Key) { k.Purpose = keys.Witness }),
	}
	b.open(logs)
	return b
}

func (b *bed) open(logs string) {
	b.t.Helper()
	if logs == "" {
		logs = vkey(b.t, b.log)
	}
	var err error
	b.Witness, err = audit.NewWitness(audit.WitnessConfig{
		Name: "archive.example/witness", Signer: b.signer, Logs: logs, State: b.state, Now: func() time.Time { return b.now },
	})
	must(b.t, err)
	b.t.Cleanup(func() { _ = b.Witness.Close() })
}

// request asks for a cosignature of m at size, from size old on.
func (b *bed) request(m *memory, old, size int64) []byte {
	b.t.Helper()
	proof, err := audit.ProveGrowth(old, size, m)
	must(b.t, err)
	return audit.Request(old, proof, checkpoint(b.t, m, size, b.log))
}

func TestWitness(t *testing.T) {
	m := history(t, 300)
	b := newWitness(t, 9, "")
	last := int64(0)
	for _, size := range []int64{0, 1, 1, 2, 7, 8, 64, 100, 299, 300, 300} {
		b.now = b.now.Add(time.Minute)
		line, err := b.AddCheckpoint(b.request(m, last, size))
		if err != nil {
			t.Fatalf("from %d to %d: %v", last, size, err)
		}
		signed := audit.AddCosignatures(checkpoint(t, m, size, b.log), line, line)
		c, err := audit.OpenCosigned(signed, vkey(t, b.log), b.Key()+"\n")
		if err != nil || len(c.Cosignatures) != 1 || !c.Cosignatures[0].Time.Equal(b.now) || c.Size != size {
			t.Fatalf("%+v, %v", c, err)
		}
		// A reader that knows no witnesses reads over it.
		if c, err := audit.OpenCheckpoint(signed, vkey(t, b.log)); err != nil || c.Unknown != 1 {
			t.Fatalf("%+v, %v", c, err)
		}
		if last = size; size%2 == 0 { // it remembers
			must(t, b.Close())
			b.open("")
		}
	}
	// Where it stands it tells whoever asks from 0, and then co-signs again.
	_, err := b.AddCheckpoint(b.request(m, 0, 300))
	if c, ok := errors.AsType[*audit.ConflictError](err); !ok || c.Size != 300 || c.Forked {
		t.Errorf("from 0: %v", err)
	}
}

// forked is a log that is m up to size at and another one after.
func forked(t testing.TB, m *memory, at, size int) *memory {
	f := &memory{}
	for i := range size {
		e := event(i)
		if i >= at {
			e.Actor = "somebody else"
		}
		if _, err := audit.Append(f, []audit.Event{e}); err != nil {
			t.Fatal(err)
		}
	}
	if at > 0 && !bytes.Equal(f.entries[at-1], m.entries[at-1]) {
		t.Fatal("the fork is no fork")
	}
	return f
}

func TestWitnessRefuses(t *testing.T) {
	m := history(t, 60)
	fork := forked(t, m, 30, 60)
	const empty = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	for _, tt := range []struct {
		name    string
		request func(b *bed) []byte
		want    error
	}{
		{"nothing", func(*bed) []byte { return nil }, audit.ErrRequest},
		{"no old size", func(b *bed) []byte { return b.request(m, 40, 50)[len("old 40\n"):] }, audit.ErrRequest},
		{"old size with a zero", func(b *bed) []byte { return append([]byte("old 0"), b.request(m, 40, 50)[4:]...) }, audit.ErrRequest},
		{"negative old size", func(b *bed) []byte { return append([]byte("old -"), b.request(m, 40, 50)[4:]...) }, audit.ErrRequest},
		{"old size above the new one", func(b *bed) []byte { return audit.Request(51, nil, checkpoint(t, m, 50, b.log)) }, audit.ErrRequest},
		{"64 hashes", func(b *bed) []byte { return audit.Request(40, make([]audit.Hash, 64), checkpoint(t, m, 50, b.log)) }, audit.ErrRequest},
		{"a hash in other letters", func(b *bed) []byte {
			return bytes.Replace(b.request(m, 40, 50), []byte("=\n"), []byte("==\n"), 1)
		}, audit.ErrRequest},
		{"no checkpoint", func(*bed) []byte { return []byte("old 40\n") }, audit.ErrRequest},
		{"empty checkpoint", func(*bed) []byte { return []byte("old 40\n\n") }, audit.ErrUnknownLog},
		{"too long", func(b *bed) []byte { return append(b.request(m, 40, 50), make([]byte, audit.MaxRequest)...) }, audit.ErrRequest},
		{"unknown log", func(b *bed) []byte {
			return bytes.ReplaceAll(b.request(m, 40, 50), []byte(origin), []byte("other.example/audit"))
		}, audit.ErrUnknownLog},
		{"another key of the same name", func(b *bed) []byte { b.log = newSigner(t, 2); return b.request(m, 40, 50) }, audit.ErrUntrusted},
		{"text changed", func(b *bed) []byte {
			return bytes.Replace(b.request(m, 40, 50), []byte("\n50\n"), []byte("\n51\n"), 1)
		}, audit.ErrUntrusted},
		{"no proof", func(b *bed) []byte { return audit.Request(40, nil, checkpoint(t, m, 50, b.log)) }, audit.ErrInconsistent},
		{"proof of another step", func(b *bed) []byte {
			proof, err := audit.ProveGrowth(40, 51, m)
			must(t, err)
			return audit.Request(40, proof, checkpoint(t, m, 50, b.log))
		}, audit.ErrInconsistent},
		{"a hash too many", func(b *bed) []byte {
			proof, err := audit.ProveGrowth(40, 50, m)
			must(t, err)
			return audit.Request(40, append(proof, audit.Hash{}), checkpoint(t, m, 50, b.log))
		}, audit.ErrInconsistent},
		{"a proof for the same size", func(b *bed) []byte { return audit.Request(40, []audit.Hash{{}}, checkpoint(t, m, 40, b.log)) }, audit.ErrInconsistent},
		{"AUD-01 a changed past", func(b *bed) []byte { return b.request(fork, 40, 50) }, audit.ErrInconsistent},
		{"from another size", func(b *bed) []byte { return b.request(m, 39, 50) }, &audit.ConflictError{Size: 40}},
		{"AUD-02 back to a younger log", func(b *bed) []byte { return b.request(m, 20, 30) }, &audit.ConflictError{Size: 40}},
		{"AUD-09 two heads of one size", func(b *bed) []byte { return b.request(fork, 40, 40) }, &audit.ConflictError{Size: 40, Forked: true}},
		{"an empty log with a root", func(b *bed) []byte {
			signed := bytes.Replace(checkpoint(t, m, 0, b.log), []byte(empty), []byte(strings.Repeat("A", 43)+"="), 1)
			return audit.Request(0, nil, signed)
		}, audit.ErrUntrusted},
		{"signing window over", func(b *bed) []byte { b.now = b.now.AddDate(20, 0, 0); return b.request(m, 40, 50) }, keys.ErrSignWindow},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newWitness(t, 9, "")
			if _, err := b.AddCheckpoint(b.request(m, 0, 40)); err != nil {
				t.Fatal(err)
			}
			trusted := b.log
			line, err := b.AddCheckpoint(tt.request(b))
			want, isConflict := errors.AsType[*audit.ConflictError](tt.want)
			got, _ := errors.AsType[*audit.ConflictError](err)
			if line != nil || err == nil || !isConflict && !errors.Is(err, tt.want) || isConflict && (got == nil || *got != *want) {
				t.Errorf("AddCheckpoint: %q, %v, want %v", line, err, tt.want)
			}
			// It stands where it stood.
			b.log, b.now = trusted, start.Add(2*time.Hour)
			if _, err := b.AddCheckpoint(b.request(m, 40, 60)); err != nil {
				t.Errorf("the next good request: %v", err)
			}
		})
	}
}

func TestWitnessState(t *testing.T) {
	m := history(t, 60)
	t.Run("one process a folder", func(t *testing.T) {
		b := newWitness(t, 9, "")
		_, err := audit.NewWitness(audit.WitnessConfig{Name: "w.example", Signer: b.signer, Logs: vkey(t, b.log), State: b.state})
		if !errors.Is(err, durable.ErrLocked) {
			t.Errorf("NewWitness: %v, want ErrLocked", err)
		}
	})
	for _, tt := range []struct {
		name  string
		spoil func(b []byte) []byte
	}{
		{"emptied", func([]byte) []byte { return nil }},
		{"size set back", func(b []byte) []byte { return bytes.Replace(b, []byte("\n40\n"), []byte("\n20\n"), 1) }},
		{"of another witness", func(b []byte) []byte {
			other := newWitness(t, 8, "")
			line, err := other.AddCheckpoint(other.request(m, 0, 20))
			must(t, err)
			text, _, _ := bytes.Cut(checkpoint(t, m, 20, other.log), []byte("\n\n"))
			return append(append(text, "\n\n"...), line...)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newWitness(t, 9, "")
			if _, err := b.AddCheckpoint(b.request(m, 0, 40)); err != nil {
				t.Fatal(err)
			}
			files, err := filepath.Glob(filepath.Join(b.state, "*.txt"))
			if err != nil || len(files) != 1 {
				t.Fatal(files, err)
			}
			change(t, b.state, filepath.Base(files[0]), tt.spoil)
			if line, err := b.AddCheckpoint(b.request(m, 20, 30)); err == nil {
				t.Errorf("it signed %q", line)
			}
		})
	}
	t.Run("of another log", func(t *testing.T) {
		const name = "other.example/log"
		key := newSigner(t, 1)
		other, err := audit.VerifierKey(name, key.Key().Public)
		must(t, err)
		b := newWitness(t, 9, strings.TrimSuffix(vkey(t, key), "\n")+"\n"+other+"\n")
		head, err := audit.HeadAt(m, 20)
		must(t, err)
		signed, err := audit.SignCheckpoint(name, head, b.now, key)
		must(t, err)
		for _, request := range [][]byte{b.request(m, 0, 40), audit.Request(0, nil, signed)} {
			_, err := b.AddCheckpoint(request)
			must(t, err)
		}
		files, err := filepath.Glob(filepath.Join(b.state, "*.txt"))
		if err != nil || len(files) != 2 {
			t.Fatal(files, err)
		}
		var texts [2][]byte
		for i := range texts {
			texts[i], err = os.ReadFile(files[i])
			must(t, err)
		}
		// What the witness has signed itself, each in the place of the other.
		must(t, errors.Join(os.WriteFile(files[0], texts[1], 0o600), os.WriteFile(files[1], texts[0], 0o600)))
		if line, err := b.AddCheckpoint(b.request(m, 20, 30)); err == nil {
			t.Errorf("it signed %q", line)
		}
	})
	t.Run("it cannot be read", func(t *testing.T) {
		b := newWitness(t, 9, "")
		_, err := b.AddCheckpoint(b.request(m, 0, 40))
		must(t, err)
		files, err := filepath.Glob(filepath.Join(b.state, "*.txt"))
		must(t, err)
		must(t, os.WriteFile(files[0], bytes.Repeat([]byte{'x'}, 1<<20), 0o600))
		if line, err := b.AddCheckpoint(b.request(m, 0, 30)); err == nil {
			t.Errorf("it signed %q", line)
		}
	})
	t.Run("nowhere to keep it", func(t *testing.T) {
		b := newWitness(t, 9, "")
		must(t, os.RemoveAll(b.state))
		if line, err := b.AddCheckpoint(b.request(m, 0, 40)); err == nil {
			t.Errorf("it signed %q and cannot remember", line)
		}
	})
}

// TestWitnessRaces sends requests of a log and of a fork of it from many sides.
// Whatever was co-signed must be one line of history.
func TestWitnessRaces(t *testing.T) {
	m := history(t, 200)
	fork := forked(t, m, 20, 200)
	b := newWitness(t, 9, "")
	var mu sync.Mutex
	roots := map[int64]audit.Hash{}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(w), 1))
			log := m
			if w%2 == 1 {
				log = fork
			}
			last := int64(0)
			for range max(count(200, 2000), 200) {
				size := min(last+rnd.Int64N(4), 200)
				_, err := b.AddCheckpoint(b.request(log, last, size))
				if c, ok := errors.AsType[*audit.ConflictError](err); ok {
					last = min(c.Size, 199)
					continue
				}
				if err != nil {
					if !errors.Is(err, audit.ErrInconsistent) {
						t.Error(err)
					}
					continue
				}
				head, err := audit.HeadAt(log, size)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				if known, ok := roots[size]; ok && known != head.Root {
					t.Errorf("two roots of the size %d are co-signed", size)
				}
				roots[size] = head.Root
				mu.Unlock()
				last = size
			}
		})
	}
	wg.Wait()
	var of [2]int
	for size, root := range roots {
		for i, log := range []*memory{m, fork} {
			if h, err := audit.HeadAt(log, size); err == nil && h.Root == root && size > 20 {
				of[i]++
			}
		}
	}
	if of[0] > 0 && of[1] > 0 || of[0]+of[1] == 0 {
		t.Errorf("%d heads of the log and %d of its fork are co-signed", of[0], of[1])
	}
}

func TestCosignDir(t *testing.T) {
	m := history(t, 90)
	b := newWitness(t, 9, "")
	export := func(log *memory, size int64) string {
		dir := t.TempDir()
		must(t, audit.Export(t.Context(), dir, audit.Exported{Entries: log.all(), Checkpoint: checkpoint(t, log, size, b.log), Keys: vkey(t, b.log)}))
		return dir
	}
	for _, size := range []int64{10, 40, 40} {
		dir := export(m, size)
		var c audit.Checkpoint
		for range 2 { // a folder that comes twice is signed once
			b.now = b.now.Add(time.Second)
			var err error
			if c, err = b.CosignDir(dir); err != nil || c.Size != size {
				t.Fatal(c, err)
			}
		}
		signed, err := os.ReadFile(filepath.Join(dir, audit.CheckpointFile))
		must(t, err)
		if c, err := audit.OpenCosigned(signed, vkey(t, b.log), b.Key()); err != nil || len(c.Cosignatures) != 1 {
			t.Errorf("%+v, %v", c, err)
		}
		if _, err := audit.VerifyDir(dir, ""); err != nil {
			t.Error(err)
		}
	}
	if _, err := b.CosignDir(export(m, 30)); err == nil {
		t.Error("co-signed a younger log")
	}
	if _, err := b.CosignDir(export(forked(t, m, 30, 60), 60)); err == nil {
		t.Error("co-signed a changed past")
	}
	if _, err := b.CosignDir(export(forked(t, m, 30, 60), 40)); err == nil {
		t.Error("co-signed a fork")
	}
	broken := export(m, 60)
	change(t, broken, audit.EntriesFile, func(b []byte) []byte { b[len(b)-10] ^= 1; return b })
	if _, err := b.CosignDir(broken); err == nil {
		t.Error("co-signed entries that are not those of the checkpoint")
	}
}

// TestWitnessRequestsOfOthers answers requests that the tests of another witness
// publish (filippo.io/torchwood, internal/witness), with trees that are not ours.
func TestWitnessRequestsOfOthers(t *testing.T) {
	pub, err := hex.DecodeString("ffdc2d4d98e4124d3feaf788c0c2f9abfd796083d1f0495437f302ec79cf100f")
	must(t, err)
	const log = "sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562"
	k, err := note.NewEd25519VerifierKey(log, ed25519.PublicKey(pub))
	must(t, err)
	b := newWitness(t, 9, k)
	one := "old 0\n\n" + log + "\n1\nKgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n" +
		"— " + log + " UgIom7fPZTqpxWWhyjWduBvTvGVqsokMbqTArsQilegKoFBJQjUFAmQ0+YeSPM3wfUQMFSzVnnNuWRTYrajXpNUbIQY=\n"
	five := "old 1\nKgEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n+fUDV+k970B4I3uKrqJM4aP1lloPZP8mvr2Z4wRw2LI=\n" +
		"KgQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n" + log + "\n5\nQrtXrQZCCvpIgsSmOsah7HdICzMLLyDfxToMql9WTjY=\n\n" +
		"— " + log + " UgIomw/EOJmWi0i1FQsOj+etB7F8IccFam/jgd6wzRns4QPVmyEZtdvl1U2KEmLOZ/ASRcWJi0tW90dJWAShei7sDww=\n"
	three := "old 1\nKgEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nKgIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n" + log +
		"\n3\nRcCI1Nk56ZcSmIEfIn0SleqtV7uvrlXNccFx595Iwl0=\n\n" +
		"— " + log + " UgIom2VbtIcdFbwFAy1n7s6IkAxIY6J/GQOTuZF2ORV39d75cbAj2aQYwyJre36kezNobZs4SUUdrcawfAB8WVrx6go=\n"
	for _, r := range []string{one, five} {
		if _, err := b.AddCheckpoint([]byte(r)); err != nil {
			t.Errorf("%.8q: %v", r, err)
		}
	}
	_, err = b.AddCheckpoint([]byte(three))
	if c, ok := errors.AsType[*audit.ConflictError](err); !ok || c.Size != 5 {
		t.Errorf("back to 3: %v", err)
	}
}

// TestFaultyWitness is P18 for the key of a witness: what does not verify is no
// co-signature.
func TestFaultyWitness(t *testing.T) {
	m := history(t, 20)
	for name, spoil := range map[string]func([]byte) []byte{
		"flips a bit": func(b []byte) []byte { b[5] ^= 4; return b }, "returns nothing": func([]byte) []byte { return nil },
		"returns half of it": func(b []byte) []byte { return b[:32] },
	} {
		b := newWitness(t, 9, "")
		must(t, b.Witness.Close())
		b.signer = faulty{b.signer, spoil}
		b.open("")
		if line, err := b.AddCheckpoint(b.request(m, 0, 20)); line != nil || err == nil {
			t.Errorf("P18 %s: %q, %v", name, line, err)
		}
	}
}

// TestCutCosignature: the name and the hash of a witness, and a signature that ends early,
// are no co-signature and no reason to fall over (AUD-06).
func TestCutCosignature(t *testing.T) {
	head, line, _ := strings.Cut(published, "— remora.n621.de ")
	sig, rest, _ := strings.Cut(line, "\n")
	whole, err := base64.StdEncoding.DecodeString(sig)
	must(t, err)
	for _, n := range []int{5, 6, 11, 12, 13, len(whole) - 1} {
		cut := head + "— remora.n621.de " + base64.StdEncoding.EncodeToString(whole[:n]) + "\n" + rest
		if c, err := audit.OpenCosigned([]byte(cut), publishedLog, remora); err == nil {
			t.Errorf("AUD-06 %d bytes of %d: %+v", n, len(whole), c)
		}
	}
}

func TestWitnessKeyRefuses(t *testing.T) {
	s := newSigner(t, 9)
	good, err := audit.WitnessKey("w.example/1", s.Key().Public)
	must(t, err)
	log := strings.TrimSpace(vkey(t, s))
	for _, key := range []string{
		"", "w", "w+1", good + "\n", good + " ", strings.ToUpper(good), log,
		strings.Replace(good, "w.example", "v.example", 1), strings.Replace(good, "+B", "+C", 1), good[:len(good)-4],
		" " + good, strings.Replace(good, "/", " ", 1),
	} {
		if id, err := audit.CheckWitnessKey(key); err == nil {
			t.Errorf("CheckWitnessKey(%q) = %q", key, id)
		}
	}
	for _, name := range []string{"", "a b", "a+b", "a\nb", strings.Repeat("\xff", 3)} {
		if k, err := audit.WitnessKey(name, s.Key().Public); err == nil {
			t.Errorf("WitnessKey(%q) = %q", name, k)
		}
	}
	if _, err := audit.OpenCosigned([]byte(published), publishedLog, remora+"\n"+remora+"\n"); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a witness key twice: %v", err)
	}
	if _, err := audit.NewWitness(audit.WitnessConfig{Name: "w", Signer: s, Logs: log, State: t.TempDir()}); err != nil {
		t.Error(err) // the purpose of the key is asked for when it signs
	}
}

func FuzzWitness(f *testing.F) {
	m := history(f, 40)
	b := newWitness(f, 9, "")
	for _, step := range [][2]int64{{0, 10}, {10, 20}, {20, 20}} {
		f.Add(b.request(m, step[0], step[1]))
	}
	f.Add([]byte("old 0\n\n"))
	boundtest.Fuzz(f, func(t *testing.T, request []byte) {
		line, err := b.AddCheckpoint(request)
		if (err == nil) != (line != nil) {
			t.Fatalf("%q, %v", line, err)
		}
		if err != nil {
			return
		}
		// Only what our log has signed is ever co-signed.
		_, signed, _ := bytes.Cut(request, []byte("\n\n"))
		c, err := audit.OpenCosigned(audit.AddCosignatures(signed, line), vkey(t, b.log), b.Key())
		if err != nil || len(c.Cosignatures) != 1 {
			t.Fatalf("%q: %v", line, err)
		}
		h, err := audit.HeadAt(m, c.Size)
		if err != nil || h != c.Head {
			t.Fatalf("co-signed %v", c.Head)
		}
	})
}

// TestProveGrowth compares with the proofs of tlog, for every pair of sizes.
func TestProveGrowth(t *testing.T) {
	m := history(t, 40)
	for size := range int64(41) {
		for old := range size + 1 {
			proof, err := audit.ProveGrowth(old, size, m)
			must(t, err)
			if old == 0 || old == size {
				if len(proof) > 0 {
					t.Fatal("a proof of nothing")
				}
				continue
			}
			now, err := audit.HeadAt(m, size)
			must(t, err)
			then, err := audit.HeadAt(m, old)
			must(t, err)
			if err := tlog.CheckTree(proof, size, now.Root, old, then.Root); err != nil {
				t.Fatal(old, size, err)
			}
		}
	}
	for _, bad := range [][2]int64{{-1, 5}, {6, 5}} {
		if _, err := audit.ProveGrowth(bad[0], bad[1], m); err == nil {
			t.Error(fmt.Sprint(bad))
		}
	}
}

// TestP09Cosigned changes every byte of a checkpoint that a witness has co-signed,
// to each of a few others: whoever knows log and witness notices.
func TestP09Cosigned(t *testing.T) {
	m := history(t, 70)
	b := newWitness(t, 9, "")
	line, err := b.AddCheckpoint(b.request(m, 0, 70))
	must(t, err)
	good := audit.AddCosignatures(checkpoint(t, m, 70, b.log), line)
	for i := range good {
		for _, x := range []byte{1, 2, 0x20, 0x80} {
			spoiled := bytes.Clone(good)
			spoiled[i] ^= x
			c, err := audit.OpenCosigned(spoiled, vkey(t, b.log), b.Key())
			if err == nil && len(c.Cosignatures) == 1 {
				t.Fatalf("byte %d changed and not noticed: %q", i, spoiled)
			}
		}
	}
	for n := range good {
		if c, err := audit.OpenCosigned(good[:n], vkey(t, b.log), b.Key()); err == nil && len(c.Cosignatures) == 1 {
			t.Fatalf("cut off at %d and not noticed", n)
		}
	}
}

// TestP09Journal changes one thing in a journal: verified with an older checkpoint
// from before, it is noticed.
func TestP09Journal(t *testing.T) {
	m := history(t, 40)
	s := newSigner(t, 1)
	j, dir := newJournal(t)
	put(t, j, m, 40)
	good, err := os.ReadFile(filepath.Join(dir, audit.EntriesFile))
	must(t, err)
	newest, older := checkpoint(t, m, 40, s), checkpoint(t, m, 30, s)
	if _, err := audit.Verify(bytes.NewReader(good), newest, vkey(t, s), older); err != nil {
		t.Fatal(err)
	}
	for seed := range count(1000, 10000) {
		rnd := rand.New(rand.NewPCG(uint64(seed), 9))
		spoiled := bytes.Clone(good)
		switch at := rnd.IntN(len(good)); rnd.IntN(4) {
		case 0:
			spoiled[at] ^= 1 << rnd.IntN(8)
		case 1:
			spoiled = spoiled[:at]
		case 2:
			spoiled = append(spoiled[:at], spoiled[at+1:]...)
		default:
			lines := bytes.SplitAfter(spoiled, []byte("\n"))
			k := rnd.IntN(len(lines) - 2)
			lines[k], lines[k+1] = lines[k+1], lines[k]
			spoiled = bytes.Join(lines, nil)
		}
		if _, err := audit.Verify(bytes.NewReader(spoiled), newest, vkey(t, s), older); err == nil {
			t.Fatalf("seed %d: not noticed", seed)
		}
	}
}
