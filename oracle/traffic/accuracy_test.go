//go:build accuracy

package traffic_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// On real windows too: those of the captures and traces in the folder DATA,
// from which scripts/ttest-golden.py, run by PYTHON, makes cases that are
// thrown away afterwards.
func TestTTestAgreesOnRealWindows(t *testing.T) {
	data, python := os.Getenv("DATA"), os.Getenv("PYTHON")
	if data == "" || python == "" {
		t.Fatal("set DATA to the folder of captures and PYTHON to a Python with numpy 1.26.4 and scipy")
	}
	file := filepath.Join(t.TempDir(), "real.json.gz")
	golden := exec.Command(python, "-W", "ignore", "../../scripts/ttest-golden.py", data, file)
	golden.Stderr = os.Stderr
	if err := golden.Run(); err != nil {
		t.Fatal(err)
	}
	agreesWithNumpyAndScipy(t, file)
}
