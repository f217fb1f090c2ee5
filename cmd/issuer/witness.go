package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/keys"
)

// Names of the files of a witness. Its keystore and passphrase have the names that
// those of an issuer have.
const (
	witnessKeyFile = "witness.txt" // its public key
	witnessLogs    = "logs"        // the keys of the logs that it watches, a file each
	witnessState   = "state"       // what it has co-signed last
)

// typeSize is the type of the answer that says how far a witness has come.
const typeSize = "text/x.tlog.size"

func (p *program) auditWitness() *cobra.Command {
	return cli.Group("witness", "Watch over the audit logs of other offices",
		`A witness co-signs the checkpoints of logs that it has seen to grow, and refuses everything else: a changed past, a way back, two logs of one
name. Run it on a machine that the office which it watches does not control. It needs no database and sees no entries, unless it is given an
exported folder. It speaks C2SP tlog-witness.`,
		p.witnessInit(), p.witnessServe(), p.witnessCosign())
}

func (p *program) witnessInit() *cobra.Command {
	var name string
	var logs []string
	c := &cobra.Command{
		Use: "init DIR --name NAME --log FILE", Short: "Make a witness in a directory", Args: cobra.ExactArgs(1),
		Long: `Makes the directory of a witness with its key. NAME is an address without scheme that nobody else uses for a witness. --log is the ` + audit.KeyFile + `
of an exported log; compare it with the office by telephone. More can be put into ` + witnessLogs + `/ later.

Never put the folder ` + witnessState + `/ back from a backup: a witness that forgets what it saw can be shown another past.`,
		Example: "  issuer audit witness init watch --name archive.example/witness --log audit/2026-11-21/" + audit.KeyFile,
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			key, err := p.makeWitness(cmd.Context(), args[0], name, logs)
			if err != nil {
				return err
			}
			view := map[string]any{"directory": args[0], "key": key, "logs": len(logs)}
			return p.Print(cmd, view, func(w io.Writer) {
				fmt.Fprintf(w, "%s\nnext: the offices that it watches put this key into audit.witnesses of their settings\n", key)
			})
		}),
	}
	c.Flags().StringVar(&name, "name", "", "the name of the witness, such as archive.example/witness (required)")
	c.Flags().StringArrayVar(&logs, "log", nil, "the keys of a log to watch, `FILE` (repeat for several)")
	_ = c.MarkFlagRequired("name")
	return c
}

// makeWitness fills the directory of a witness and returns its public key.
func (p *program) makeWitness(ctx context.Context, dir, name string, logs []string) (string, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", cli.Hint(err, "name a directory that does not exist yet")
	}
	for _, d := range []string{witnessLogs, witnessState} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			return "", err
		}
	}
	for i, path := range logs {
		b, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, witnessLogs, fmt.Sprintf("log-%d.txt", i+1)), b, 0o600); err != nil {
			return "", err
		}
	}
	passphrase, err := makePassphrase(filepath.Join(dir, passphraseName))
	if err != nil {
		return "", err
	}
	ks, err := keyCost.CreateFile(filepath.Join(dir, keystoreName), passphrase, rand.Reader)
	if err != nil {
		return "", err
	}
	k, err := keys.Bootstrap(ctx, ks, keys.Spec{Purpose: keys.Witness, Created: p.Now()})
	if err != nil {
		return "", err
	}
	vkey, err := audit.WitnessKey(name, k.Public)
	if err != nil {
		return "", err
	}
	return vkey, os.WriteFile(filepath.Join(dir, witnessKeyFile), []byte(vkey+"\n"), 0o644)
}

// openWitness opens the witness of a directory.
func (p *program) openWitness(cmd *cobra.Command) (*audit.Witness, error) {
	dir := p.dir
	b, err := os.ReadFile(filepath.Join(dir, witnessKeyFile))
	if err != nil {
		return nil, cli.Hint(err, "`issuer audit witness init DIR` makes a witness; --dir DIR names it")
	}
	name, _, _ := strings.Cut(string(b), "+")
	passphrase, err := readPassphrase(cmd, filepath.Join(dir, passphraseName), "")
	if err != nil {
		return nil, err
	}
	ks, err := keys.OpenFile(filepath.Join(dir, keystoreName), passphrase)
	if err != nil {
		return nil, explainKeystore(err)
	}
	all, err := ks.Keys(cmd.Context())
	if err != nil {
		return nil, err
	}
	k, err := keys.SigningKey(all, keys.Witness, p.Now())
	if err != nil {
		return nil, err
	}
	signer, err := ks.Signer(cmd.Context(), k.ID())
	if err != nil {
		return nil, err
	}
	logs, err := readLogs(filepath.Join(dir, witnessLogs))
	if err != nil {
		return nil, err
	}
	return audit.NewWitness(audit.WitnessConfig{Name: name, Signer: signer, Logs: logs, State: filepath.Join(dir, witnessState), Now: p.Now})
}

// readLogs joins the files of a folder, without lines that occur twice.
func readLogs(folder string) (string, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	if err != nil {
		return "", err
	}
	var lines []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return "", err
		}
		for line := range strings.Lines(string(b)) {
			if line = strings.TrimSuffix(line, "\n"); !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	if len(lines) == 0 {
		return "", cli.Hint(errors.New("the witness watches no log"), "put the %s of an exported log into %s, with a name that ends in .txt", audit.KeyFile, folder)
	}
	return strings.Join(lines, "\n") + "\n", nil
}

func (p *program) witnessServe() *cobra.Command {
	var listen, cert, key string
	c := &cobra.Command{
		Use: "serve --listen ADDRESS", Short: "Answer requests for co-signatures until told to stop", Args: cobra.NoArgs,
		Long: `Answers POST /add-checkpoint (C2SP tlog-witness). Without --tls-cert it speaks plain HTTP: put it behind a server that speaks TLS, or keep it in
a network that nobody else is in. It needs no secrets in requests; whoever is not a log that it watches gets nothing.`,
		Example: "  issuer audit witness serve --dir watch --listen :8444 --tls-cert cert.pem --tls-key key.pem",
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			w, err := p.openWitness(cmd)
			if err != nil {
				return err
			}
			defer w.Close()
			l, err := new(net.ListenConfig).Listen(cmd.Context(), "tcp", listen)
			if err != nil {
				return err
			}
			if err := p.Print(cmd, map[string]any{"listening": l.Addr().String(), "key": w.Key()}, func(out io.Writer) {
				fmt.Fprintf(out, "listening on %s\n%s\n", l.Addr(), w.Key())
			}); err != nil {
				return err
			}
			return serveWitness(cmd.Context(), l, witnessHandler(w, func(format string, args ...any) { cli.Say(cmd, format, args...) }), cert, key)
		}),
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:8444", "the `ADDRESS` to listen on")
	c.Flags().StringVar(&cert, "tls-cert", "", "the certificate chain, `FILE` in PEM")
	c.Flags().StringVar(&key, "tls-key", "", "its private key, `FILE` in PEM")
	c.MarkFlagsRequiredTogether("tls-cert", "tls-key")
	return c
}

// serveWitness serves until ctx ends, and then lets requests that are going on end.
func serveWitness(ctx context.Context, l net.Listener, h http.Handler, cert, key string) error {
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 8 << 10,
	}
	ended := make(chan error, 1)
	go func() {
		if cert != "" {
			ended <- s.ServeTLS(l, cert, key)
		} else {
			ended <- s.Serve(l)
		}
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return s.Shutdown(stop)
}

// witnessReplies is the only place where a refusal of a witness becomes a status.
var witnessReplies = []struct {
	err    error
	status int
}{
	{audit.ErrRequest, http.StatusBadRequest},
	{audit.ErrUnknownLog, http.StatusNotFound},
	{audit.ErrUntrusted, http.StatusForbidden},
	{audit.ErrInconsistent, http.StatusUnprocessableEntity},
}

// witnessHandler answers requests to a witness. What it refused that a log has
// signed is told to the operator: it may be proof that a log misbehaves.
func witnessHandler(w *audit.Witness, say func(format string, args ...any)) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add-checkpoint", func(out http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(out, r.Body, audit.MaxRequest))
		if err != nil {
			http.Error(out, "request too long or broken off", http.StatusBadRequest)
			return
		}
		line, err := w.AddCheckpoint(body)
		if err == nil {
			out.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = out.Write(line)
			return
		}
		if c, ok := errors.AsType[*audit.ConflictError](err); ok {
			if c.Forked {
				say("WARNING: refused: %v", err)
				http.Error(out, err.Error(), http.StatusConflict)
				return
			}
			out.Header().Set("Content-Type", typeSize)
			out.WriteHeader(http.StatusConflict)
			fmt.Fprintf(out, "%d\n", c.Size)
			return
		}
		for _, reply := range witnessReplies {
			if errors.Is(err, reply.err) {
				if reply.err == audit.ErrInconsistent {
					say("WARNING: refused: %v", err)
				}
				http.Error(out, reply.err.Error(), reply.status)
				return
			}
		}
		say("request failed: %v", err)
		http.Error(out, "server error", http.StatusInternalServerError)
	})
	return mux
}

func (p *program) witnessCosign() *cobra.Command {
	return &cobra.Command{
		Use: "cosign FOLDER", Short: "Verify and co-sign an exported log, without a network", Args: cobra.ExactArgs(1),
		Long: `Reads all entries of a folder that ` + "`issuer audit export`" + ` made, checks that the log continues what this witness has co-signed before, and adds its
signature to ` + audit.CheckpointFile + ` there. The office takes that in with ` + "`issuer audit checkpoint --take-in`" + `.`,
		Example: "  issuer audit witness cosign --dir watch /media/usb/audit",
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			w, err := p.openWitness(cmd)
			if err != nil {
				return err
			}
			defer w.Close()
			c, err := w.CosignDir(args[0])
			if errors.Is(err, fs.ErrNotExist) {
				return cli.Hint(err, "the folder is one that `issuer audit export` made")
			}
			if c, ok := errors.AsType[*audit.ConflictError](err); ok && !c.Forked {
				return cli.Hint(err, "the folder is older than that, or the log was shortened: ask the office for a new export; if that is not longer either, keep both")
			}
			if errors.Is(err, audit.ErrUnknownLog) {
				return cli.Hint(err, "a witness watches the logs whose keys `issuer audit witness init --log` named")
			}
			if err != nil {
				return cli.Hint(err, "keep this copy: if the office's key has signed it, it is proof of what happened")
			}
			view := map[string]any{"origin": c.Origin, "entries": c.Size, "root": c.Root.String(), "key": w.Key()}
			return p.Print(cmd, view, func(out io.Writer) {
				fmt.Fprintf(out, "co-signed %d entries of %s\nnext: bring %s back to the office\n", c.Size, c.Origin, filepath.Join(args[0], audit.CheckpointFile))
			})
		}),
	}
}
