using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.OAuth;
using GptFunctions.Tokens;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Npgsql;

namespace GptFunctions.Connect;

/// <summary>The client of a connected API, and what a person does with it in the GPT builder and in MCP hosts.</summary>
internal sealed class ConnectClient(ClientService clients, IOptions<TokenSettings> tokens, IHostEnvironment environment, TimeProvider clock)
{
    private string BaseUrl => tokens.Value.PublicBaseUrl!;

    /// <param name="questions">Who can be asked for a GPT that nobody named; null: nobody.</param>
    /// <returns>The exit code.</returns>
    public async Task<int> RunAsync(string id, string[] gpts, ConnectPlan plan, Questions? questions)
    {
        if (gpts.Length == 0 && questions is not null && !await KnowsGptAsync(id) && questions.AskGpt() is { Length: > 0 } gpt)
        {
            gpts = [gpt];
        }

        if (ClientService.ProblemWithGpts(gpts) is { } wrong)
        {
            return await Commands.FailAsync("--gpt: " + wrong);
        }

        // In Development a first look needs no GPT: the code is shown where a GPT would take it.
        string[] uris = [.. gpts.SelectMany(ClientService.CallbacksOf), .. environment.IsDevelopment() ? [BaseUrl + "/dev/callback"] : (string[])[]];
        var (secret, problem) = uris.Length == 0
            ? ("(no client yet: save the GPT, and run this again with --gpt g-ID, which stands in its URL)", null)
            : await EnsureAsync(id, uris, plan);
        if (problem is not null)
        {
            return await Commands.FailAsync(problem);
        }

        var scopes = string.Join(' ', ScopeList.Read(plan.Scopes).Scopes!.Select(scope => scope.Key));
        Console.WriteLine($"""

            In the GPT builder, Configure, Create new action:
              Authentication         OAuth
              Client ID              {id}
              Client Secret          {secret}
              Authorization URL      {BaseUrl}/oauth/authorize
              Token URL              {BaseUrl}/oauth/token
              Scope                  {scopes}
              Token Exchange Method  Default (POST request)
              Schema, import from    {BaseUrl}/gpt/openapi.json
            {(gpts.Length > 0 ? "" : "Its callback URL is known when it was saved: run this again with --gpt g-ID, which stands in the GPT's URL.\n")}
            In an MCP host (ChatGPT, Claude, VS Code, ...), as the server's URL: {BaseUrl}/gpt/mcp
            """);
        if (!tokens.Value.IsHttps)
        {
            Console.WriteLine($"""

                Hosts on this machine reach that. ChatGPT reaches a public https address only. Whatever you put in front (a tunnel, a proxy) must
                - pass every path, method, query, body and header on to {BaseUrl} unchanged, Authorization among them, without a page of its own;
                - pass answers on as they come, without a cache, and wait a minute for them.
                Then run PUBLIC_BASE_URL=https://THE-ADDRESS make run, and this again. In Development anybody signs in as anybody there: set CLERK_ISSUER,
                CLERK_OAUTH_CLIENT_ID and CLERK_OAUTH_CLIENT_SECRET before others know the address.
                """);
        }

        return 0;
    }

    /// <summary>Whether the client is a saved GPT's already.</summary>
    private async Task<bool> KnowsGptAsync(string id) =>
        (await ListAsync()).FirstOrDefault(client => client.Id == id) is { } known && known.RedirectUris.Any(ClientService.IsCallbackOfGpt);

    /// <summary>The client as it should be, and what is said of its secret.</summary>
    private async Task<(string Secret, string? Problem)> EnsureAsync(string id, string[] uris, ConnectPlan plan)
    {
        var (act, occasion) = (OperatorAct.OfCommand(null), Occasion.OfCommand(clock.GetUtcNow(), "command"));
        if ((await ListAsync()).FirstOrDefault(client => client.Id == id) is not { } known)
        {
            // The GPT builder's clients send no PKCE.
            var (issued, problem) = await clients.AddAsync(new NewClient(Name(plan), id, false, [], uris, [], [], NoPkce: true), act, occasion);
            Console.WriteLine(issued is null ? "" : $"+ client {id}");
            return issued is null ? ("", problem) : ($"{issued.Secret}   (it is not shown again)", null);
        }

        string[] all = [.. known.RedirectUris.Union(uris, StringComparer.Ordinal)];
        var exist = ScopeList.Read(plan.Scopes).Scopes!.Select(scope => scope.Key); // those of an earlier beginning may be gone
        string[] scopes = [.. known.Scopes.Intersect(exist, StringComparer.Ordinal).Union(plan.AddedScopes, StringComparer.Ordinal)];
        var isComplete = all.Length == known.RedirectUris.Length && scopes.ToHashSet(StringComparer.Ordinal).SetEquals(known.Scopes);
        var refusal = isComplete ? null : await clients.UpdateAsync(id, new ClientChange(RedirectUris: all, Scopes: scopes), act, occasion);
        Console.WriteLine(isComplete ? $"client {id} is as it should be" : $"~ client {id}");
        return ($"as it was shown when the client was made; another: GptFunctions clients rotate-secret {id}", refusal);
    }

    /// <summary>Asked again once: what this is run beside (a build, a start) makes a machine slow for moments.</summary>
    private async Task<IReadOnlyList<Client>> ListAsync()
    {
        try
        {
            return await clients.ListAsync();
        }
        catch (NpgsqlException)
        {
            return await clients.ListAsync();
        }
    }

    private static string Name(ConnectPlan plan)
    {
        var name = new string([.. plan.Document.Title.Where(letter => !char.IsControl(letter))]).Trim();
        return name.Length > 100 ? name[..100] : name;
    }
}
