using System.Globalization;

namespace GptFunctions.Pages.Languages;

internal sealed class English : Texts
{
    public override string Tag => "en";

    public override string Time(DateTimeOffset time) => time.UtcDateTime.ToString("d MMMM yyyy, HH:mm 'UTC'", CultureInfo.InvariantCulture);

    public override string Privacy => "Privacy";
    public override string Terms => "Terms";
    public override string Support => "Help";
    public override string ConnectedApps => "Your connected apps";

    public override string WantsToConnect(Name app, Name? brand) =>
        brand is null ? $"{app} wants to connect to your account" : $"{app} wants to connect to your {brand} account";

    public override string AllowThis(Name app) => $"Allow {app}?";
    public override string SignedInAs => "Signed in as";
    public override string NotYou => "Not you?";
    public override string ComesFrom => "Comes from";
    public override string SendsYouBackTo => "Sends you back to";
    public override string AppOnThisDevice => "an app on this device";
    public override string AppOnThisDeviceWith(Name scheme) => $"the app on this device that opens {scheme} links";

    public override Notice Unchecked => new(
        "Nobody has checked this app.",
        "Its name is what it calls itself. Allow it only if you started this yourself, just now, and know where it sends you back to.");

    public override Notice UncheckedFrom(Name host) => new(
        "Nobody here has checked this app.",
        $"It comes from {host}; its name is what that site calls it. Allow it only if you trust {host}, and started this yourself, just now.");

    public override string ItWillBeAbleTo => "It will be able to";
    public override string New => "New";
    public override string Allow => "Allow";
    public override string Cancel => "Cancel";
    public override string IfYouDidNotAsk => "If you did not ask for this, choose Cancel.";
    public override string TakeItBack => "What you allow now, you can take back at any time:";

    public override string NoRoom(int count) => $"You have {count} connections already";

    public override string OthersEnd(IReadOnlyList<Name> apps) => apps is [var only]
        ? $"There can be no more. If you allow this one, {only} is disconnected, because it was used least recently. Or disconnect another one yourself:"
        : $"There can be no more. If you allow this one, these are disconnected, because they were used least recently: {string.Join(", ", apps)}. "
            + "Or disconnect others yourself:";

    public override string NoRoomFor(Name app, int count) =>
        count == 1 ? $"You have connected {app} already" : $"You have connected {app} {count} times already";

    public override string ItsOwnEnd(int count) => "There can be no more of it. If you allow this, it takes the place of "
        + (count == 1 ? "the one that was" : $"the {count} that were") + " used least recently. Your other apps stay connected. Or disconnect one yourself:";

    public override string LastUsed(DateTimeOffset time) => $"last used {Time(time)}";
    public override string Disconnect => "Disconnect";
    public override string DisconnectThis(Name app) => $"Disconnect {app}";

    public override string QuoteThisNumber => "If you ask for help, quote this number:";
    public override string ForItsMakers => "For the makers of the app:";
    public override string GetHelp => "Get help";
    public override string StartPage => "Start page";

    public override Notice NotInProgress => new(
        "This sign-in is not in progress here",
        "It belongs to another browser, took longer than ten minutes, or has already been answered. Go back to the app and connect again.");

    public override Notice AccountClosed => new(
        "This account was deleted or is blocked", "Go back to the app, connect again, and choose another account.");

    public override Notice TooManyStarted(int seconds) => new(
        "Too many connections were started",
        $"They came from your network within a minute. Wait {seconds} {(seconds == 1 ? "second" : "seconds")}, then go back to the app and connect again.");

    public override Notice CannotBeConnected => new(
        "This app cannot be connected",
        "The link that it sent you here with is not right. Nothing was connected. Go back to the app and try again; if it stays so, tell those who make it.");

    public override Notice CannotBeConnectedNow => new(
        "This app cannot be connected right now", "What it says of itself cannot be read at the moment. Nothing was connected. Try again in a few minutes.");

    public override Notice BrokenLink => new("This link is broken", "It cannot be read. Go back to the app and connect again.");
    public override Notice UnreadableForm => new("The form could not be read", "Nothing was changed. Go back and try again.");
    public override Notice NothingChosen => new("Nothing was chosen", "Go back and press Allow or Cancel.");
    public override Notice NothingHere => new("There is nothing here", "This address leads nowhere. Check it, or go to the start page.");

    public override Notice Outage => new(
        "Temporarily unavailable",
        "Something that this service depends on does not answer right now. Nothing was changed; try again shortly.");

    public override Notice Bug =>
        new("Internal error", "Something went wrong on our side. Try again; if it stays so, ask for help and quote the number below.");
    public override Notice TooLarge => new("Bad request", "The request body is too large.");
    public override Notice Unreadable => new("Bad request", "The request could not be read. Go back and try again.");

    public override Notice Welcome(Name? brand) => new(
        brand is null ? "Connect your apps" : $"Connect your apps to {brand}",
        "Here apps such as ChatGPT and Claude ask whether they may use your account, and you decide. What you allowed, you can see and take back.");

    public override string SeeConnectedApps => "See your connected apps";

    public override string HowToConnect =>
        "To connect an app, begin in the app: it sends you here, and you see what it wants before you allow anything.";
}
