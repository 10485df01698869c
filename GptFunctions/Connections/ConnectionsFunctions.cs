using System.Globalization;
using GptFunctions.Connections.Pages;
using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.OAuth;
using GptFunctions.Pages;
using GptFunctions.Pages.Languages;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.Connections;

/// <summary>The pages on which people see the apps that they have connected, and take back what they allowed.</summary>
internal sealed class ConnectionsFunctions(PageSessions pages, ConnectionsService service, ScopeCatalog scopes, Occasions occasions)
{
    private const string Home = "/connections";
    private const string SignedOutPath = "/connections/signed-out";
    private const string Anew = "sign-in"; // in the link of the page that says that somebody is signed out
    private const int MaximumBody = 16 * 1024;
    private const int MaximumPage = 1000;

    [Function("Connections")]
    public Task<IResult> ListAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "connections")] HttpRequest request) =>
        SignedInAsync(request, async (session, occasion) =>
        {
            var page = int.TryParse(request.Query["page"], NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                ? Math.Clamp(number, 1, MaximumPage)
                : 1;
            var found = await service.ListAsync(session, page, occasion.Now);
            return PageResults.Render<ConnectionsPage>(request.HttpContext, new()
            {
                [nameof(ConnectionsPage.SignedInAs)] = NameOf(session),
                [nameof(ConnectionsPage.SignOutCsrf)] = session.Csrf(PageSessions.SignOutPurpose),
                [nameof(ConnectionsPage.Cards)] = found.Connections.Select(connection => Card(request, connection)).ToList(),
                [nameof(ConnectionsPage.Number)] = found.Page,
                [nameof(ConnectionsPage.HasMore)] = found.HasMore,
                [nameof(ConnectionsPage.Done)] = request.Query["done"].ToString(),
            });
        });

    [Function("ConnectionsDisconnect")]
    public Task<IResult> DisconnectAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, "get", "post", Route = "connections/disconnect")] HttpRequest request) =>
        SignedInAsync(request, async (session, occasion) =>
        {
            if (HttpMethods.IsPost(request.Method))
            {
                return await ReadFormAsync(request, form => $"{Purpose.Disconnect}|{form["client"]}", session, async form =>
                {
                    await service.DisconnectAsync(session, form["client"] ?? "", occasion);
                    return new SeeOther(Home + "?done=one");
                });
            }

            return FormParameters.OfQuery(request).Value?["client"] is { } id && await service.FindAsync(session, id, occasion.Now) is { } connection
                ? PageResults.Render<DisconnectPage>(request.HttpContext, new()
                {
                    [nameof(DisconnectPage.Card)] = Card(request, connection),
                    [nameof(DisconnectPage.Csrf)] = session.Csrf($"{Purpose.Disconnect}|{connection.ClientId}"),
                })
                : new SeeOther(Home); // disconnected in another tab
        });

    [Function("ConnectionsDisconnectAll")]
    public Task<IResult> DisconnectAllAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, "get", "post", Route = "connections/disconnect-all")] HttpRequest request) =>
        SignedInAsync(request, async (session, occasion) =>
        {
            if (HttpMethods.IsPost(request.Method))
            {
                return await ReadFormAsync(request, _ => Purpose.DisconnectAll, session, async _ =>
                {
                    await service.DisconnectAsync(session, null, occasion);
                    return new SeeOther(Home + "?done=all");
                });
            }

            var found = await service.ListAsync(session, 1, occasion.Now);
            return found.Total == 0
                ? new SeeOther(Home)
                : PageResults.Render<DisconnectAllPage>(request.HttpContext, new()
                {
                    [nameof(DisconnectAllPage.Names)] = found.Connections.Select(connection => (Name)connection.Name).ToList(),
                    [nameof(DisconnectAllPage.Total)] = found.Total,
                    [nameof(DisconnectAllPage.Csrf)] = session.Csrf(Purpose.DisconnectAll),
                });
        });

    /// <summary>A person's own choice, so a form with a token. Who is signed out already is told so, and who only opens the address is led back.</summary>
    [Function("ConnectionsSignOut")]
    public async Task<IResult> SignOutAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, "get", "post", Route = "connections/sign-out")] HttpRequest request)
    {
        var (context, occasion) = (request.HttpContext, occasions.Of(request.HttpContext));
        if (!HttpMethods.IsPost(request.Method))
        {
            return new SeeOther(Home);
        }

        if (await pages.FindAsync(context, occasion) is not { } session)
        {
            return new SeeOther(SignedOutPath);
        }

        return await ReadFormAsync(request, _ => PageSessions.SignOutPurpose, session, async _ =>
        {
            var url = await pages.SignOutAsync(context, SignedOutPath, occasion);
            if (url is null)
            {
                return new SeeOther(SignedOutPath);
            }

            // Not by a redirect: form-action would have to name every address on the provider's way back, which nobody knows.
            context.Response.Headers["Refresh"] = "0; url=" + url;
            return PageResults.Render<SigningOutPage>(context, new() { [nameof(SigningOutPage.Url)] = url });
        });
    }

    [Function("ConnectionsSignedOut")]
    public static IResult SignedOut([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "connections/signed-out")] HttpRequest request) =>
        PageResults.Render<SignedOutPage>(request.HttpContext, new() { [nameof(SignedOutPage.SignInUrl)] = UrlQuery.Add(Home, (Anew, "anew")) });

    /// <summary>What other products call the same page.</summary>
    [Function("ConnectedApps")]
    public static IResult Alias([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "connected-apps")] HttpRequest request) =>
        new SeeOther(Home);

    private static Name NameOf(PageSession session) => Name.OfAddress(session.Person.Email ?? session.Person.Name ?? session.Person.Subject);

    private ConnectionCard Card(HttpRequest request, Connection connection) =>
        ConnectionCard.Of(connection, scopes, Language.Of(request.HttpContext).Tag);

    private async Task<IResult> SignedInAsync(HttpRequest request, Func<PageSession, Occasion, Task<IResult>> answer)
    {
        var occasion = occasions.Of(request.HttpContext);
        return await pages.FindAsync(request.HttpContext, occasion) is { } session
            ? await answer(session, occasion)
            : request.Query.ContainsKey(Anew) ? await pages.SignInAsync(request.HttpContext, Home, occasion, anew: true)
            : await pages.SignInAsync(
                request.HttpContext, HttpMethods.IsGet(request.Method) ? request.Path.Value + request.QueryString.Value : Home, occasion);
    }

    private static async Task<IResult> ReadFormAsync(
        HttpRequest request, Func<FormParameters, string> purpose, PageSession session, Func<FormParameters, Task<IResult>> answer)
    {
        var parsed = await FormParameters.OfBodyAsync(request, MaximumBody);
        return parsed.Value is not { } form
            ? PageResults.Refuse(
                request.HttpContext, parsed.Error!.Why.Reason, parsed.Error.Status, texts => texts.UnreadableForm)
            : session.IsCsrf(form["csrf"], purpose(form)) ? await answer(form)
            : PageSessions.OutOfDate(request.HttpContext, Home);
    }

    /// <summary>What the forms' tokens are for.</summary>
    private static class Purpose
    {
        public const string Disconnect = "disconnect";
        public const string DisconnectAll = "disconnect all";
    }
}
