package evaluate_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wakefuzz/analysis"
	"wakefuzz/evaluate"
	"wakefuzz/oracle/traffic"
)

const head = "file,device,activation_start_s,activation_end_s"

// labelled is a folder with a capture of ten minutes and labels of it.
func labelled(t *testing.T, labels string) string {
	t.Helper()
	dir := t.TempDir()
	speech := upload(300, 5)
	record(t, filepath.Join(dir, "a.pcapng"), chatter(600), speech)
	write(t, filepath.Join(dir, "labels.csv"), labels)
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// evaluated reads labels and runs all detectors.
func evaluated(dir string) (*evaluate.Result, error) {
	recordings, err := evaluate.ReadLabels(dir)
	if err != nil {
		return nil, err
	}
	return evaluate.Run(context.Background(), recordings, evaluate.Options{Rules: traffic.DefaultRules()})
}

func TestWrongLabels(t *testing.T) {
	const device = "02:00:00:00:00:01"
	line := func(times string) string { return head + "\na.pcapng," + device + "," + times + "\n" }
	tests := []struct{ name, labels, wrong string }{
		{"empty", "", "labels.csv:1: the file is empty"},
		{"no header", "a.pcapng," + device + ",1,2\n", `labels.csv:1: there is no column "file"`},
		{"a column is missing", "file,device,activation_start_s\n", `labels.csv:1: there is no column "activation_end_s"`},
		{"nothing but a header", head + "\n", "they name no capture"},
		{"no CSV", head + "\na.pcapng,\"x\ny,\n", "labels.csv:3: extraneous or missing"},
		{"no file", head + "\n," + device + ",1,2\n", "labels.csv:2: the line names no file"},
		{"unknown file", head + "\nb.pcapng," + device + ",1,2\n", "labels.csv:2: there is no capture "},
		{"a folder", head + "\n.," + device + ",1,2\n", "labels.csv:2: there is no capture "},
		{"no device", head + "\na.pcapng,,1,2\n", `labels.csv:2: device: address ""`},
		{"no address", head + "\na.pcapng,kitchen,1,2\n", `labels.csv:2: device: address "kitchen" is neither`},
		{"no start", line(",2"), "labels.csv:2: of activation_start_s and activation_end_s one is empty"},
		{"too short a line", head + "\na.pcapng," + device + ",1\n", "one is empty"},
		{"no number", line("a,2"), `labels.csv:2: activation_start_s: "a" is not a time`},
		{"not a number", line("1,NaN"), `labels.csv:2: activation_end_s: "NaN" is not a time`},
		{"infinite", line("1,Inf"), `"Inf" is not a time`},
		{"negative", line("-1,2"), `"-1" is not a time`},
		{"the end before the start", line("20,10.5"), "labels.csv:2: the activation ends at 10.5 s, before it begins at 20 s"},
		{"outside the capture", line("1000,1005"), "labels.csv:2: the activation of 1000 to 1005 s lies outside "},
		{"a stretch outside", "kind," + head + "\nidle,a.pcapng," + device + ",1000,1005\n", "labels.csv:2: the stretch of 1000 to 1005 s lies outside "},
		{"overlapping", line("10,20\na.pcapng," + device + ",15,25"), "labels.csv:3: the activation of 15 to 25 s overlaps that of 10 to 20 s in line 2"},
		{"in other order", line("15,25\na.pcapng," + device + ",10,20"), "labels.csv:2: the activation of 15 to 25 s overlaps that of 10 to 20 s in line 3"},
		{"overlapping stretches", "kind," + head + "\nidle,a.pcapng," + device + ",10,20\nprobe water,a.pcapng," + device + ",15,25\n", "labels.csv:3: the stretch of 15 to 25 s overlaps"},
		{"a stretch of no length", "kind," + head + "\nidle,a.pcapng," + device + ",10,10\n", "labels.csv:2: the stretch of 10 s has no length"},
		{"a probe of no word", "kind," + head + "\nprobe ,a.pcapng," + device + ",10,20\n", ""},
		{"nominal and a time", "nominal," + head + "\n5,a.pcapng," + device + ",10,20\n", "labels.csv:2: nominal is for activations at unknown times"},
		{"nominal is no number", "nominal," + head + "\n-5,a.pcapng," + device + ",,\n", `labels.csv:2: nominal: "-5" is not a number`},
		{"nominal and other lines", "nominal," + head + "\n5,a.pcapng," + device + ",,\n,a.pcapng," + device + ",10,20\n", "labels.csv:3: "},
		{"another device", head + "\na.pcapng,02:00:00:00:00:09,10,20\n", "labels.csv:2: " + "{dir}/a.pcapng holds no packet of 02:00:00:00:00:09; it has those of 02:00:00:00:00:01"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := labelled(t, tt.labels)
			_, err := evaluated(dir)
			if tt.wrong == "" {
				if err != nil {
					t.Errorf("an error: %v", err)
				}
				return
			}
			wrong := strings.ReplaceAll(tt.wrong, "{dir}", dir)
			if err == nil || !errors.Is(err, evaluate.ErrLabels) || !strings.Contains(err.Error(), wrong) {
				t.Errorf("the error is %v, want one of labels with %q", err, wrong)
			}
			if err != nil && !strings.HasPrefix(err.Error(), dir) && tt.name != "nothing but a header" {
				t.Errorf("the error begins with no file: %v", err)
			}
		})
	}
}

// Mistakes are told together, as far as that helps.
func TestManyMistakes(t *testing.T) {
	_, err := evaluated(labelled(t, head+strings.Repeat("\na.pcapng,kitchen,1,2", 15)))
	if lines := strings.Split(err.Error(), "\n"); len(lines) != 11 || lines[10] != "and 5 more mistakes" {
		t.Errorf("the error is\n%v", err)
	}
}

func TestNoLabels(t *testing.T) {
	if _, err := evaluate.ReadLabels(t.TempDir()); !errors.Is(err, evaluate.ErrLabels) || !strings.Contains(err.Error(), "no file like labels.csv") {
		t.Errorf("a folder without labels: %v", err)
	}
	if _, err := evaluate.ReadLabels(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

// Columns are found by name, in any order and case, and files below the folder.
func TestReadLabels(t *testing.T) {
	dir := labelled(t, "\ufeffActivation_Start_s, file ,note,device,activation_end_s,mac,kind\n"+
		"300.5,a.pcapng,x,Kitchen,305,02-00-00-00-00-01,wake\n"+
		"1,a.pcapng,,Kitchen,2,02:00:00:00:00:01,idle\n"+
		"2,a.pcapng,,Kitchen,3,02:00:00:00:00:01,probe hey google\n")
	below := filepath.Join(dir, "more")
	if err := os.Mkdir(below, 0o700); err != nil {
		t.Fatal(err)
	}
	record(t, filepath.Join(below, "b.pcapng"), chatter(90))
	write(t, filepath.Join(below, "the-Labels-of-b.CSV"), "ip,nominal,"+head+"\n,3,b.pcapng,02:00:00:00:00:01,,\n")
	recordings, err := evaluate.ReadLabels(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(recordings) != 2 {
		t.Fatalf("%d recordings", len(recordings))
	}
	a, b := recordings[0], recordings[1]
	if a.Name != "Kitchen" || a.Device.String() != "02:00:00:00:00:01" || a.File != filepath.Join(dir, "a.pcapng") {
		t.Errorf("the first is %+v", a)
	}
	if len(a.Activations) != 1 || a.Activations[0].Span != (analysis.Span{From: 300500 * time.Millisecond, To: 305 * time.Second}) || a.Activations[0].Kind != "wake" {
		t.Errorf("its activations are %+v", a.Activations)
	}
	if len(a.Stretches) != 2 || a.Stretches[0].Word != "" || a.Stretches[1].Word != "hey google" {
		t.Errorf("its stretches are %+v", a.Stretches)
	}
	if b.Name != "02:00:00:00:00:01" || b.Nominal != 3 || b.File != filepath.Join(below, "b.pcapng") {
		t.Errorf("the second is %+v", b)
	}
}

// Whatever the labels say, they are read or refused.
func FuzzLabels(f *testing.F) {
	f.Add(head + "\na.pcapng,02:00:00:00:00:01,115,122\n")
	f.Add("nominal,kind,mac,ip," + head + "\n,probe x,02:00:00:00:00:01,,a.pcapng,x,1,2\n5,,,10.0.0.1,b.pcapng,y,,\n")
	f.Add(head + "\n\"")
	dir := f.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.pcapng"), nil, 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, labels string) {
		write(t, filepath.Join(dir, "labels.csv"), labels)
		recordings, err := evaluate.ReadLabels(dir)
		if (err == nil) != (len(recordings) > 0) {
			t.Errorf("%d recordings, error %v", len(recordings), err)
		}
		for _, r := range recordings {
			until := time.Duration(0)
			for _, a := range r.Activations {
				if a.From < until || a.To < a.From {
					t.Errorf("activations are not in order: %+v", r.Activations)
				}
				until = a.To
			}
		}
	})
}
