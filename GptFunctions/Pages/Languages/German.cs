using System.Globalization;

namespace GptFunctions.Pages.Languages;

internal sealed class German : Texts
{
    private static readonly string[] Months =
        ["Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"];

    public override string Tag => "de";

    public override string Time(DateTimeOffset time) =>
        string.Create(CultureInfo.InvariantCulture, $"{time.UtcDateTime:%d}. {Months[time.UtcDateTime.Month - 1]} {time.UtcDateTime:yyyy, HH:mm} Uhr UTC");

    public override string Privacy => "Datenschutz";
    public override string Terms => "Nutzungsbedingungen";
    public override string Support => "Hilfe";
    public override string ConnectedApps => "Ihre verbundenen Apps";

    public override string WantsToConnect(Name app, Name? brand) =>
        brand is null ? $"{app} möchte sich mit Ihrem Konto verbinden" : $"{app} möchte sich mit Ihrem Konto bei {brand} verbinden";

    public override string AllowThis(Name app) => $"{app} erlauben?";
    public override string SignedInAs => "Angemeldet als";
    public override string NotYou => "Nicht Ihr Konto?";
    public override string ComesFrom => "Kommt von";
    public override string SendsYouBackTo => "Führt Sie zurück zu";
    public override string AppOnThisDevice => "einer App auf diesem Gerät";
    public override string AppOnThisDeviceWith(Name scheme) => $"der App auf diesem Gerät, die Links mit {scheme} öffnet";

    public override Notice Unchecked => new(
        "Niemand hat diese App geprüft.",
        "Ihren Namen hat sie sich selbst gegeben. Erlauben Sie sie nur, wenn Sie das gerade selbst begonnen haben und wissen, wohin sie Sie zurückführt.");

    public override Notice UncheckedFrom(Name host) => new(
        "Niemand hat diese App hier geprüft.",
        $"Sie kommt von {host}; so nennt sie diese Seite. Erlauben Sie sie nur, wenn Sie {host} vertrauen und das gerade selbst begonnen haben.");

    public override string ItWillBeAbleTo => "Das wird sie können";
    public override string NewScope => "Neu";
    public override string Allow => "Erlauben";
    public override string Cancel => "Abbrechen";
    public override string IfYouDidNotAsk => "Wenn Sie das nicht selbst begonnen haben, wählen Sie „Abbrechen“.";
    public override string TakeItBack => "Was Sie jetzt erlauben, können Sie jederzeit zurücknehmen:";

    public override string NoRoom(int count) => $"Sie haben schon {count} Verbindungen";

    public override string OthersEnd(IReadOnlyList<Name> apps) => apps is [var only]
        ? $"Mehr sind nicht möglich. Wenn Sie diese erlauben, wird {only} getrennt, weil diese Verbindung am längsten nicht benutzt wurde. "
            + "Oder trennen Sie selbst eine andere:"
        : "Mehr sind nicht möglich. Wenn Sie diese erlauben, werden die folgenden getrennt, weil sie am längsten nicht benutzt wurden: "
            + $"{string.Join(", ", apps)}. Oder trennen Sie selbst andere:";

    public override string NoRoomFor(Name app, int count) =>
        count == 1 ? $"Sie haben {app} schon verbunden" : $"Sie haben {app} schon {count}-mal verbunden";

    public override string ItsOwnEnd(int count) => "Öfter ist nicht möglich. Wenn Sie das erlauben, ersetzt die neue Verbindung "
        + (count == 1 ? "diejenige, die" : $"die {count}, die")
        + " am längsten nicht benutzt " + (count == 1 ? "wurde" : "wurden") + ". Ihre anderen Apps bleiben verbunden. Oder trennen Sie selbst eine:";

    public override string LastUsed(DateTimeOffset time) => $"zuletzt benutzt am {Time(time)}";
    public override string Disconnect => "Trennen";
    public override string DisconnectThis(Name app) => $"{app} trennen";

    public override string QuoteThisNumber => "Wenn Sie um Hilfe bitten, nennen Sie diese Nummer:";
    public override string ForItsMakers => "Für die Hersteller der App:";
    public override string GetHelp => "Hilfe bekommen";
    public override string StartPage => "Startseite";

    public override Notice NotInProgress => new(
        "Diese Anmeldung läuft hier nicht",
        "Sie gehört zu einem anderen Browser, hat länger als zehn Minuten gedauert oder ist schon beantwortet. "
            + "Gehen Sie zurück zur App und verbinden Sie sie neu.");

    public override Notice AccountClosed => new(
        "Dieses Konto wurde gelöscht oder ist gesperrt", "Gehen Sie zurück zur App, verbinden Sie sie neu und wählen Sie ein anderes Konto.");

    public override Notice TooManyStarted(int seconds) => new(
        "Zu viele Verbindungen wurden begonnen",
        $"Sie kamen innerhalb einer Minute aus Ihrem Netz. Warten Sie {seconds} {(seconds == 1 ? "Sekunde" : "Sekunden")}, "
            + "gehen Sie dann zurück zur App und verbinden Sie sie neu.");

    public override Notice CannotBeConnected => new(
        "Diese App kann nicht verbunden werden",
        "Der Link, mit dem sie Sie hierher geschickt hat, stimmt nicht. Es wurde nichts verbunden. Gehen Sie zurück zur App und versuchen Sie es noch "
            + "einmal; wenn es so bleibt, sagen Sie es ihren Herstellern.");

    public override Notice CannotBeConnectedNow => new(
        "Diese App kann gerade nicht verbunden werden",
        "Was sie über sich sagt, lässt sich im Moment nicht lesen. Es wurde nichts verbunden. Versuchen Sie es in ein paar Minuten noch einmal.");

    public override Notice BrokenLink => new(
        "Dieser Link ist unvollständig oder beschädigt", "Er lässt sich nicht lesen. Gehen Sie zurück zur App und verbinden Sie sie neu.");

    public override Notice UnreadableForm => new(
        "Das Formular konnte nicht gelesen werden", "Es wurde nichts geändert. Gehen Sie zurück und versuchen Sie es noch einmal.");

    public override Notice NothingChosen => new("Es wurde nichts gewählt", "Gehen Sie zurück und wählen Sie „Erlauben“ oder „Abbrechen“.");
    public override Notice NothingHere => new("Hier ist nichts", "Diese Adresse führt nirgendwohin. Prüfen Sie sie, oder gehen Sie zur Startseite.");

    public override Notice Outage => new(
        "Vorübergehend nicht erreichbar",
        "Etwas, worauf dieser Dienst angewiesen ist, antwortet gerade nicht. Es wurde nichts geändert; versuchen Sie es gleich noch einmal.");

    public override Notice Bug => new(
        "Interner Fehler",
        "Bei uns ist etwas schiefgegangen. Versuchen Sie es noch einmal; wenn es so bleibt, bitten Sie um Hilfe und nennen Sie die Nummer unten.");

    public override Notice TooLarge => new("Fehlerhafte Anfrage", "Die Anfrage ist zu groß.");
    public override Notice Unreadable =>
        new("Fehlerhafte Anfrage", "Die Anfrage konnte nicht gelesen werden. Gehen Sie zurück und versuchen Sie es noch einmal.");

    public override Notice Welcome(Name? brand) => new(
        brand is null ? "Ihre Apps verbinden" : $"Ihre Apps mit {brand} verbinden",
        "Hier fragen Apps wie ChatGPT und Claude, ob sie Ihr Konto benutzen dürfen, und Sie entscheiden. Was Sie erlaubt haben, können Sie ansehen und "
            + "zurücknehmen.");

    public override string SeeConnectedApps => "Verbundene Apps ansehen";

    public override string HowToConnect =>
        "Um eine App zu verbinden, beginnen Sie in der App: Sie schickt Sie hierher, und Sie sehen, was sie möchte, bevor Sie etwas erlauben.";

    public override string SignInAgain => "Wieder anmelden";
    public override string TryAgain => "Noch einmal versuchen";
    public override string OpenItAgain => "Neu öffnen";
    public override string SignOut => "Abmelden";

    public override Notice NotSignedInAnyMore => new(
        "Sie sind nicht mehr angemeldet",
        "Es wurde nichts geändert. Eine Anmeldung endet nach einer halben Stunde ohne Seitenaufruf, spätestens aber nach acht Stunden.");

    public override Notice TooManySignIns(int seconds) => new(
        "Zu viele Anmeldungen wurden begonnen",
        $"Sie kamen innerhalb einer Minute aus Ihrem Netz. Warten Sie {seconds} {(seconds == 1 ? "Sekunde" : "Sekunden")} und versuchen Sie es dann "
            + "noch einmal.");

    public override Notice DidNotSignIn => new("Sie haben sich nicht angemeldet", "Diese Seite muss wissen, wer Sie sind.");

    public override Notice SignInFailed => new(
        "Die Anmeldung hat nicht geklappt",
        "Die Antwort des Dienstes, bei dem Sie sich anmelden, war nicht brauchbar. Versuchen Sie es noch einmal.");

    public override Notice SignInNotInProgress => new(
        "Diese Anmeldung läuft hier nicht", "Sie gehört zu einem anderen Browser, hat länger als zehn Minuten gedauert oder ist schon vorbei.");

    public override Notice YourAccountIsClosed => new("Dieses Konto wurde gelöscht oder ist gesperrt", "Melden Sie sich mit einem anderen Konto an.");

    public override Notice OutOfDate => new(
        "Diese Seite ist veraltet", "Es wurde nichts geändert: Die Seite ist älter als Ihre letzte Anmeldung. Öffnen Sie sie neu.");

    public override Notice SignedOut => new(
        "Sie sind abgemeldet",
        "Wenn andere dieses Gerät benutzen, melden Sie sich auch dort ab, wo Sie sich angemeldet haben: Wer dort noch angemeldet ist, kommt hier ohne "
            + "Rückfrage hinein.");

    public override Notice SignedOutHere => new("Sie sind hier abgemeldet", "Als Nächstes werden Sie auch von Ihrem Konto abgemeldet.");
    public override string GoOn => "Weiter";

    public override string NoAppIsConnected => "Mit Ihrem Konto ist keine App verbunden.";
    public override string UntilYouDisconnectThem => "Sie dürfen ohne Rückfrage, was hier steht, bis Sie sie trennen.";
    public override string DisconnectedOne => "Getrennt. Die App kann nichts mehr tun; um sie wieder zu benutzen, verbinden Sie sie neu.";
    public override string DisconnectedAll => "Alle Apps sind getrennt. Sie können nichts mehr tun.";
    public override string CheckedBy(Name? brand) => brand is null ? "Von uns geprüft." : $"Geprüft von {brand}.";
    public override string AppOnYourDevice => "Eine App auf Ihrem Gerät";
    public override string SwitchedOff => "Diese App wurde hier abgeschaltet: Sie kann im Moment nichts tun.";
    public override string CanDoNothing => "Sie kann im Moment nichts tun.";
    public override string ConnectedSince => "Verbunden seit";
    public override string LastUsedOn => "Zuletzt benutzt";
    public override string InThirtyDays => "In 30 Tagen";

    public override string Requests(int count) =>
        count == 0 ? "keine Anfragen" : count == 1 ? "1 Anfrage" : $"{count.ToString("N0", CultureInfo.InvariantCulture).Replace(',', '.')} Anfragen";

    public override string ConnectedFrom => "Verbunden von";
    public override string Places(int count) => count == 1 ? "1 Ort" : $"{count} Orten";
    public override string AllowedOn => "Erlaubt am";
    public override string FromNowhere => "nirgends im Moment; sie könnte sich ohne Rückfrage wieder verbinden";
    public override string MoreApps => "Weitere Apps";
    public override string Back => "Zurück";
    public override string Parts => "Teile der Liste";
    public override string DisconnectEverything => "Alles trennen";

    public override Notice AskToDisconnect(Name app, int places) => new(
        $"{app} trennen?",
        $"Die App verliert sofort den Zugang zu Ihrem Konto{(places > 1 ? $", an allen {places} Orten" : "")}. Um sie wieder zu benutzen, verbinden Sie "
            + "sie neu.");

    public override Notice AskToDisconnectAll(int apps) => new(
        "Alles trennen?",
        apps == 1 ? "Diese App verliert sofort den Zugang zu Ihrem Konto:" : $"Diese {apps} Apps verlieren sofort den Zugang zu Ihrem Konto:");

    public override string AndMore(int count) => $"und {count} weitere";
    public override string KeepIt => "Verbunden lassen";
    public override string KeepThem => "Verbunden lassen";
}
