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
    public override string NewScope => "New";
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

    public override string SignInAgain => "Sign in again";
    public override string TryAgain => "Try again";
    public override string OpenItAgain => "Open it again";
    public override string SignOut => "Sign out";

    public override Notice NotSignedInAnyMore => new(
        "You are not signed in any more",
        "Nothing was changed. A sign-in ends after half an hour without a page, and after eight hours at the latest.");

    public override Notice TooManySignIns(int seconds) => new(
        "Too many sign-ins were started",
        $"They came from your network within a minute. Wait {seconds} {(seconds == 1 ? "second" : "seconds")}, then try again.");

    public override Notice DidNotSignIn => new("You did not sign in", "This page needs to know who you are.");
    public override Notice SignInFailed => new("Signing in did not work", "The answer of the service where you sign in could not be used. Try again.");

    public override Notice SignInNotInProgress => new(
        "This sign-in is not in progress here", "It belongs to another browser, took longer than ten minutes, or is over already.");

    public override Notice YourAccountIsClosed => new("This account was deleted or is blocked", "Sign in with another account.");
    public override Notice OutOfDate => new("This page is out of date", "Nothing was changed: the page is from before your last sign-in. Open it again.");

    public override Notice SignedOut => new(
        "You are signed out",
        "If others use this device, sign out of your account as well, where you signed in: who is still signed in there comes in here without being asked.");

    public override Notice SignedOutHere => new("You are signed out here", "Next you are signed out of your account as well.");
    public override string GoOn => "Go on";

    public override string NoAppIsConnected => "No app is connected to your account.";
    public override string UntilYouDisconnectThem => "They can do what stands here, without asking, until you disconnect them.";
    public override string DisconnectedOne => "Disconnected. The app can do nothing any more; to use it again, connect it again.";
    public override string DisconnectedAll => "All apps are disconnected. They can do nothing any more.";
    public override string CheckedBy(Name? brand) => brand is null ? "Checked by us." : $"Checked by {brand}.";
    public override string AppOnYourDevice => "An app on your device";
    public override string SwitchedOff => "This app has been switched off here: it can do nothing at the moment.";
    public override string CanDoNothing => "It can do nothing at the moment.";
    public override string ConnectedSince => "Connected since";
    public override string LastUsedOn => "Last used";
    public override string InThirtyDays => "In 30 days";

    public override string Requests(int count) =>
        count == 0 ? "no requests" : count == 1 ? "1 request" : string.Create(CultureInfo.InvariantCulture, $"{count:N0} requests");

    public override string ConnectedFrom => "Connected from";
    public override string Places(int count) => count == 1 ? "1 place" : $"{count} places";
    public override string AllowedOn => "Allowed on";
    public override string FromNowhere => "nowhere right now; it could connect again without asking you";
    public override string MoreApps => "More apps";
    public override string Back => "Back";
    public override string Parts => "Parts of the list";
    public override string DisconnectEverything => "Disconnect everything";

    public override Notice AskToDisconnect(Name app, int places) => new(
        $"Disconnect {app}?",
        $"It loses access to your account at once{(places > 1 ? $", in all {places} places" : "")}. To use it again, connect it again.");

    public override Notice AskToDisconnectAll(int apps) => new(
        "Disconnect everything?",
        apps == 1 ? "This app loses access to your account at once:" : $"These {apps} apps lose access to your account at once:");

    public override string AndMore(int count) => $"and {count} more";
    public override string KeepIt => "Keep it";
    public override string KeepThem => "Keep them";
}
