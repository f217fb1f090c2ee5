package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/backup"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/durable"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/store"
)

func (p *program) backupCommand() *cobra.Command {
	var out, recipients, passphraseFile string
	c := &cobra.Command{
		Use: "backup --out FILE", Short: "Write everything that this issuer consists of into one encrypted file", Args: cobra.NoArgs,
		Long: `Writes settings, keystore (encrypted as it is), the certificates of its keys, the pictures of its programmes, the whole database and what the
console keeps of people and their work, as they stand at this moment, into one file. The issuer goes on working meanwhile. The file is encrypted: for the age recipients in --recipients (made with age-keygen by whoever may restore), or with a passphrase from
--passphrase-file or asked for on the terminal. It is signed with the issuer's backup key.

The passphrase of the keystore is never in it. Keep that elsewhere, and the journal too: a backup without the journal loses what was done since.`,
		Example: `  issuer backup --dir office --out /media/disk/office-2026-11-21.backup --recipients custodians.txt
  issuer backup show /media/disk/office-2026-11-21.backup --identity key.txt`,
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			lock, err := backupLocks(cmd, recipients, passphraseFile)
			if err != nil {
				return err
			}
			a, err := p.open(cmd, readOnly)
			if err != nil {
				return err
			}
			m, err := p.writeBackup(cmd, a, out, lock)
			fenced := a.store.Fenced() != ""
			a.close()
			if err != nil {
				return err
			}
			if !fenced { // an issuer that takes no work writes nothing
				if err := p.noteBackup(cmd, m); err != nil {
					return cli.Hint(err, "the backup is made; only its entry in the audit log is missing")
				}
			}
			return p.Print(cmd, viewBackup(out, m), func(w io.Writer) { viewBackup(out, m).text(w) })
		}),
	}
	c.Flags().StringVar(&out, "out", "", "the `FILE` to write, which must not exist (required)")
	c.Flags().StringVar(&recipients, "recipients", "", "encrypt for the age recipients in `FILE`, a line each")
	c.Flags().StringVar(&passphraseFile, "passphrase-file", "", "encrypt with the passphrase in `FILE`")
	_ = c.MarkFlagRequired("out")
	c.MarkFlagsMutuallyExclusive("recipients", "passphrase-file")
	c.AddCommand(p.backupShow())
	return c
}

// backupLocks says who can open a backup.
func backupLocks(cmd *cobra.Command, recipients, passphraseFile string) ([]backup.Lock, error) {
	if recipients != "" {
		f, err := os.Open(recipients)
		if err != nil {
			return nil, err
		}
		defer f.Close() // only read
		return backup.ParseLocks(f)
	}
	pass, err := readPassphrase(cmd, passphraseFile, "Passphrase of the backup")
	if err == nil && passphraseFile == "" {
		var again []byte
		if again, err = askPassphrase(cmd, "Again"); err == nil && string(again) != string(pass) {
			err = errors.New("the two passphrases differ")
		}
	}
	if err != nil {
		return nil, cli.Hint(err, "--recipients FILE or --passphrase-file FILE says who can open the backup")
	}
	l, err := backup.PassphraseLock(pass)
	return []backup.Lock{l}, err
}

// backupKeys is what opens a backup.
func backupKeys(cmd *cobra.Command, identity, passphraseFile string) ([]backup.Key, error) {
	if identity != "" {
		f, err := os.Open(identity)
		if err != nil {
			return nil, err
		}
		defer f.Close() // only read
		return backup.ParseKeys(f)
	}
	pass, err := readPassphrase(cmd, passphraseFile, "Passphrase of the backup")
	if err != nil {
		return nil, cli.Hint(err, "--identity FILE or --passphrase-file FILE opens the backup")
	}
	k, err := backup.PassphraseKey(pass)
	return []backup.Key{k}, err
}

// writeBackup writes a backup beside its place and moves it there when it is
// complete and on the disk.
func (p *program) writeBackup(cmd *cobra.Command, a *app, out string, to []backup.Lock) (m backup.Manifest, err error) {
	if _, err := os.Lstat(out); !errors.Is(err, fs.ErrNotExist) {
		return m, cli.Hint(fmt.Errorf("%s exists", out), "name a file that does not; backups are never overwritten")
	}
	all, err := a.keys.Keys(cmd.Context())
	if err != nil {
		return m, err
	}
	key, err := keys.SigningKey(all, keys.Backup, p.Now())
	if err != nil {
		return m, cli.Hint(err, "`issuer keys rotate --purpose backup` makes it")
	}
	signer, err := a.keys.Signer(cmd.Context(), key.ID())
	if err != nil {
		return m, err
	}
	o := backup.Office{DB: a.store, Program: cli.Version(), Now: p.Now}
	if o.Settings, err = os.ReadFile(p.settings()); err != nil {
		return m, err
	}
	if o.Keystore, err = os.ReadFile(a.cfg.Keystore); err != nil {
		return m, err
	}
	if o.Chains, err = chainFiles(string(a.chains())); err != nil {
		return m, err
	}
	if o.Logos, err = folderFiles(filepath.Join(a.dir, logosName), slices.Collect(maps.Keys(pictureTypes))...); err != nil {
		return m, err
	}
	there, err := hasPeople(a.cfg)
	if err != nil {
		return m, err
	}
	if there {
		if o.Desk, err = openPeople(cmd.Context(), a.cfg); err != nil {
			return m, err
		}
		defer func() { err = errors.Join(err, o.Desk.Close()) }()
	}
	temp := out + ".part"
	f, err := openPart(temp)
	if err != nil {
		return m, err
	}
	// The lock goes last: until then nobody takes the file for one that broke off.
	defer func() {
		if err != nil {
			_ = os.Remove(temp) // of no use by itself
		}
		err = errors.Join(err, f.Close())
	}()
	bar := newByteBar(cmd, "backing up")
	o.Progress = bar.part
	m, err = backup.Take(cmd.Context(), f, to, signer, o)
	bar.done()
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = durable.Place(temp, out)
	}
	return m, err
}

// openPart makes the file that a backup is written into, and locks it where that can be done.
// What a process left that broke off is taken away; the file of one that is still writing is not,
// or that one would give its name to ours.
func openPart(path string) (*os.File, error) {
	busy := cli.Hint(fmt.Errorf("another process is writing %s", path), "wait for it, or name another file")
	if old, err := os.Open(path); err == nil {
		if errors.Is(durable.TryLock(old), durable.ErrLocked) {
			return nil, errors.Join(busy, old.Close())
		}
		if err := errors.Join(os.Remove(path), old.Close()); err != nil {
			return nil, err
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, busy
	}
	if err != nil {
		return nil, err
	}
	// Somebody may have taken it for one that broke off, before it was locked.
	locked := durable.TryLock(f)
	ours, err := f.Stat()
	if there, e := os.Stat(path); errors.Is(locked, durable.ErrLocked) || err != nil || e != nil || !os.SameFile(ours, there) {
		return nil, errors.Join(busy, f.Close())
	}
	return f, nil
}

// noteBackup writes into the audit log that a backup was made, so that nobody can take
// one in secret with this program. On SQLite that takes the store for a moment; a server
// that has it keeps it, and whoever takes the backup is told.
func (p *program) noteBackup(cmd *cobra.Command, m backup.Manifest) error {
	a, err := p.open(cmd, readWrite)
	if errors.Is(err, store.ErrInUse) {
		cli.Say(cmd, "note: the audit log does not have this backup: another process is at work on the store")
		return nil
	}
	if err != nil {
		return err
	}
	defer a.close()
	detail := fmt.Sprintf("as of entry %d, epoch %d, %d parts", m.AuditSize, m.Epoch, len(m.Parts))
	e := audit.Event{Time: a.now(), Kind: audit.BackupMade, Actor: a.actor, Key: m.Key.ID().String(), Detail: detail}
	return explainStore(a.store.Write(cmd.Context(), func(tx issuance.Tx) error { return tx.Append([]audit.Event{e}) }))
}

// chainFiles are the files of the folder of certificates; none if there is no folder.
func chainFiles(folder string) ([]backup.File, error) { return folderFiles(folder, ".pem") }

// folderFiles are the files of a folder whose names end in one of these; none if there is
// no folder.
func folderFiles(folder string, endings ...string) ([]backup.File, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var files []backup.File
	for _, e := range entries {
		if !e.Type().IsRegular() || !slices.Contains(endings, filepath.Ext(e.Name())) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return nil, err
		}
		files = append(files, backup.File{Name: e.Name(), Content: b})
	}
	return files, nil
}

// hasPeople reports whether the console keeps anything. A file that is not there yet is
// not made for the asking.
func hasPeople(cfg Config) (bool, error) {
	if store.IsPostgres(cfg.Console.Desk) {
		return cfg.Console.Enabled, nil
	}
	_, err := os.Stat(cfg.Console.Desk)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// A byteBar shows how much was read or written.
type byteBar struct {
	bar    *progressbar.ProgressBar
	before int64 // of the parts before this one
	name   string
	last   int64
}

func newByteBar(cmd *cobra.Command, what string) *byteBar {
	b := &byteBar{}
	if cli.IsTerminal(cmd.ErrOrStderr()) {
		b.bar = progressbar.NewOptions64(-1, progressbar.OptionSetWriter(cmd.ErrOrStderr()), progressbar.OptionShowBytes(true),
			progressbar.OptionSetDescription(what), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	}
	return b
}

func (b *byteBar) part(name string, n int64) {
	if name != b.name {
		b.before, b.name, b.last = b.before+b.last, name, 0
	}
	b.last = n
	if b.bar != nil {
		_ = b.bar.Set64(b.before + n) // a bar that cannot be drawn stops nothing
	}
}

// rows is part for what is counted in rows: it names what is read.
func (b *byteBar) rows(what string, n int64) {
	if b.bar != nil {
		b.bar.Describe(fmt.Sprintf("checking %s, row %d", what, n))
	}
}

func (b *byteBar) done() {
	if b.bar != nil {
		_ = b.bar.Finish()
	}
}

// backupView is a backup as --json shows it.
type backupView struct {
	File        string    `json:"file"`
	Instance    string    `json:"instance"`
	Taken       time.Time `json:"taken"`
	Epoch       int64     `json:"epoch"`
	LogNo       int64     `json:"log_no"`
	Schema      int64     `json:"schema"`
	Credentials int64     `json:"credentials"`
	Chains      bool      `json:"certificates"`
	Logos       bool      `json:"pictures"`
	People      int64     `json:"people"`
	AuditSize   int64     `json:"audit_entries"`
	AuditRoot   string    `json:"audit_root"`
	Checkpoint  string    `json:"checkpoint,omitempty"`
	Key         string    `json:"key"`
	SignedBy    string    `json:"signed_by,omitempty"`
	Bytes       int64     `json:"bytes"`
}

func viewBackup(file string, m backup.Manifest) backupView {
	v := backupView{
		File: file, Instance: m.Instance, Taken: m.Taken, Epoch: m.Epoch, LogNo: m.LogNo, Schema: m.Schema,
		Credentials: m.Part(backup.TablePrefix + "credential").Rows, AuditSize: m.AuditSize, AuditRoot: m.AuditRoot,
		Checkpoint: m.Checkpoint, Key: m.Key.ID().String(),
		Chains: m.Part(backup.ChainsPart).Size > int64(len("[]")), Logos: m.Part(backup.LogosPart).Size > 0, People: m.Part(backup.DeskPrefix + "operator").Rows,
	}
	if info, err := os.Stat(file); err == nil {
		v.Bytes = info.Size()
	}
	return v
}

func (v backupView) text(w io.Writer) {
	id, _, _ := strings.Cut(v.Instance, " ")
	fmt.Fprintf(w, "%s: %s as of %s, %d bytes\n", v.File, id, v.Taken.Format(time.RFC3339), v.Bytes)
	fmt.Fprintf(w, "  %d credentials, %d audit entries (root %s), epoch %d, log %d\n", v.Credentials, v.AuditSize, v.AuditRoot, v.Epoch, v.LogNo)
	if v.People > 0 {
		fmt.Fprintf(w, "  the console: %d people and their work\n", v.People)
	}
	fmt.Fprintf(w, "  signed by backup key %s%s\n", v.Key, v.SignedBy)
}

func (p *program) backupShow() *cobra.Command {
	var identity, passphraseFile, keyFile string
	c := &cobra.Command{
		Use: "show FILE", Short: "Say what is in a backup and check all of it, without restoring", Args: cobra.ExactArgs(1),
		Long: `Reads the whole backup and checks every digest and every row. Whose signature it bears is compared with the keys of the office in --dir, or with
--key; without either it is only said.`,
		Example: "  issuer backup show office-2026-11-21.backup --passphrase-file pass --dir office",
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			with, err := backupKeys(cmd, identity, passphraseFile)
			if err != nil {
				return err
			}
			known, named, err := p.knownBackupKeys(cmd, keyFile)
			if err != nil {
				return err
			}
			f, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer f.Close() // only read
			r, err := backup.NewReader(f, with...)
			if err != nil {
				return explainBackup(err)
			}
			defer r.Close()
			bar := newByteBar(cmd, "checking")
			m, err := backup.Inspect(r, bar.part)
			bar.done()
			if err != nil {
				return explainBackup(err)
			}
			v := viewBackup(args[0], m)
			switch {
			case named && known == nil:
				if !r.SignedBy(m.Key) {
					return explainBackup(backup.ErrSignature)
				}
				v.SignedBy = ", which nothing was compared with (--dir or --key)"
			default:
				k, err := r.Verify(known)
				if err != nil {
					return explainBackup(err)
				}
				v.SignedBy = " of this office"
				if k.State != keys.Active {
					v.SignedBy += ", " + string(k.State) + " by now"
				}
			}
			return p.Print(cmd, v, v.text)
		}),
	}
	c.Flags().StringVar(&identity, "identity", "", "open it with the age identities in `FILE`")
	c.Flags().StringVar(&passphraseFile, "passphrase-file", "", "open it with the passphrase in `FILE`")
	c.Flags().StringVar(&keyFile, "key", "", "the public backup key that must have signed it, as `FILE` (`issuer keys export`)")
	c.MarkFlagsMutuallyExclusive("identity", "passphrase-file")
	return c
}

// knownBackupKeys are the keys to compare a signature with. Without an office and
// a key named there are none (named is true, known nil).
func (p *program) knownBackupKeys(cmd *cobra.Command, keyFile string) (known []keys.Key, none bool, err error) {
	if keyFile != "" {
		b, err := os.ReadFile(keyFile)
		if err != nil {
			return nil, false, err
		}
		k, err := keys.ParsePublicKey(b)
		return []keys.Key{{Public: k, Purpose: keys.Backup}}, false, err
	}
	if p.dir == "" && p.config == "" {
		return nil, true, nil
	}
	cfg, err := readConfig(p.settings())
	if err != nil {
		return nil, false, err
	}
	pass, err := readPassphrase(cmd, cfg.KeyPassphraseFile, "Passphrase of the keystore")
	if err != nil {
		return nil, false, err
	}
	ks, err := keys.OpenFile(cfg.Keystore, pass)
	if err != nil {
		return nil, false, explainKeystore(err)
	}
	known, err = ks.Keys(cmd.Context())
	return known, false, err
}

// explainBackup adds to an error about a backup what a person can do.
func explainBackup(err error) error {
	switch {
	case errors.Is(err, backup.ErrKey):
		return cli.Hint(err, "try the identity or passphrase of another custodian; the file itself may be whole")
	case errors.Is(err, backup.ErrNotABackup):
		return cli.Hint(err, "take another copy of the file, or another backup")
	case errors.Is(err, backup.ErrSignature):
		return cli.Hint(err, "somebody else made this file; find out where it comes from and do not use it")
	}
	return explainStore(err)
}
