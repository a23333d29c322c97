// A light sensor for wakefuzz on an Arduino, or anything programmed like one.
//
// Wire the digital output (DO) of an LM393 light sensor to PIN, VCC and GND to
// the board's. The protocol is told in oracle/light/serial: "L 0" or "L 1" at
// each change of the pin, "H 0" or "H 1" when nothing was said for a tenth of a
// second. Levels are sent as they are: wakefuzz knows which one means lit, and
// deals with chatter.

const int PIN = 2;
const unsigned long HEARTBEAT_MS = 100;

int level;
unsigned long lastSaid;

void say(char kind) {
  Serial.print(kind);
  Serial.println(level == HIGH ? " 1" : " 0");
  lastSaid = millis();
}

void setup() {
  Serial.begin(115200);
  pinMode(PIN, INPUT);
  level = digitalRead(PIN);
  say('L');
}

void loop() {
  int now = digitalRead(PIN);
  if (now != level) {
    level = now;
    say('L');
  } else if (millis() - lastSaid >= HEARTBEAT_MS) {
    say('H');
  }
}
