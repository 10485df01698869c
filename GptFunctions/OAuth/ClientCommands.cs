using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Microsoft.Extensions.DependencyInjection;

namespace GptFunctions.OAuth;

/// <summary>What <c>clients add --json</c> and <c>clients list --json</c> print.</summary>
internal sealed record ClientOutput
{
    public required string ClientId { get; init; }
    public string? ClientSecret { get; init; }
    public required string Name { get; init; }
    public required string Kind { get; init; }
    public required string[] AuthMethods { get; init; }
    public required string[] RedirectUris { get; init; }
    public required string[] Scopes { get; init; }
    public required bool RequirePkce { get; init; }
    public required int ActiveSecrets { get; init; }
    public DateTimeOffset? LastUsedAt { get; init; }
    public DateTimeOffset? DisabledAt { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ClientOutput))]
[JsonSerializable(typeof(ClientOutput[]))]
internal sealed partial class ClientJson : JsonSerializerContext;

/// <summary><c>GptFunctions clients ...</c></summary>
internal static class ClientCommands
{
    private static readonly Option<bool> Json = new("--json") { Description = "Print JSON." };

    public static Command Create() => new("clients", "Register and change OAuth clients.") { Add(), List(), Update(), RotateSecret(), Disable() };

    private static Command Add()
    {
        var name = new Option<string>("--name") { Description = "What people read on the consent page.", Required = true };
        var id = new Option<string?>("--id") { Description = "The client id; one is made when left out." };
        var isPublic = new Option<bool>("--public") { Description = "A client without a secret; it must use PKCE." };
        var gpt = Many("--gpt", "The id of a Custom GPT (g-...): both of its callback URLs are registered.");
        var redirect = Many("--redirect-uri", "A redirect URI, compared byte for byte.");
        var scope = Many("--scope", "A scope the client may ask for; all when left out.");
        var method = Many("--auth-method", "client_secret_basic or client_secret_post; those of GPT_CLIENT_AUTH_METHODS when left out.");
        var noPkce = new Option<bool>("--no-pkce") { Description = "Allow authorization requests without PKCE (the GPT builder's clients send none)." };
        var jwksFile = new Option<FileInfo?>("--jwks-file")
        {
            Description = "A file with the client's public keys (RFC 7517): it signs instead of having a secret.",
        };
        var jwksUri = new Option<string?>("--jwks-uri") { Description = "The https URL of its public keys, which it may change there." };
        var command = new Command("add", "Add a client; prints its id and, this once, its secret.")
        {
            name, id, isPublic, gpt, redirect, scope, method, noPkce, jwksFile, jwksUri, Json,
        };
        var act = new OperatorOptions(command);
        command.Validators.Add(result =>
        {
            if (result.GetValue(jwksFile) is { Exists: false } file)
            {
                result.AddError($"--jwks-file: there is no file {file}.");
            }
        });
        command.SetAction((parsed, _) => WithClientsAsync(parsed, async (clients, occasion) =>
        {
            var request = new NewClient(
                parsed.GetRequiredValue(name), parsed.GetValue(id), parsed.GetValue(isPublic), parsed.GetValue(gpt) ?? [],
                parsed.GetValue(redirect) ?? [], parsed.GetValue(scope) ?? [], parsed.GetValue(method) ?? [], parsed.GetValue(noPkce))
            {
                Jwks = parsed.GetValue(jwksFile) is { } file ? await File.ReadAllTextAsync(file.FullName) : null,
                JwksUri = parsed.GetValue(jwksUri),
            };
            var (issued, problem) = await clients.AddAsync(request, act.Read(parsed), occasion);
            if (issued is null)
            {
                return await Commands.FailAsync(problem!);
            }

            Console.WriteLine(parsed.GetValue(Json)
                ? JsonSerializer.Serialize(Describe(issued.Client, issued.Secret), ClientJson.Default.ClientOutput)
                : $"client_id      {issued.Client.Id}\nclient_secret  "
                    + $"{issued.Secret ?? (issued.Client.IsPublic ? "(none: a public client)" : "(none: it signs with its key)")}\n"
                    + $"redirect_uris  {string.Join("\n               ", issued.Client.RedirectUris)}"
                    + (issued.Secret is null ? "" : "\nThe secret is not shown again."));
            return 0;
        }));
        return command;
    }

    private static Command List()
    {
        var command = new Command("list", "List all clients.") { Json };
        command.SetAction((parsed, _) => WithClientsAsync(parsed, async (clients, _) =>
        {
            var all = await clients.ListAsync();
            if (parsed.GetValue(Json))
            {
                Console.WriteLine(JsonSerializer.Serialize([.. all.Select(client => Describe(client, null))], ClientJson.Default.ClientOutputArray));
                return 0;
            }

            foreach (var client in all)
            {
                var state = client.DisabledAt is null ? client.Kind : client.Kind + ", disabled";
                var used = client.LastUsedAt?.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture) ?? "never";
                Console.WriteLine(
                    $"{client.Id}  {client.Name} ({state})\n    auth {string.Join(' ', client.AuthMethods)}, {client.SecretCount} secret(s), "
                    + $"{(client.RequirePkce ? "PKCE required" : "PKCE optional")}, last used {used}\n"
                    + $"    scopes {string.Join(' ', client.Scopes)}\n    {string.Join("\n    ", client.RedirectUris)}");
            }

            return 0;
        }));
        return command;
    }

    private static Command Update()
    {
        var id = ClientId();
        var name = new Option<string?>("--name") { Description = "A new name." };
        var gpt = Many("--gpt", "Custom GPT ids: together with --redirect-uri they replace all redirect URIs.");
        var redirect = Many("--redirect-uri", "Redirect URIs: replace all that are registered.");
        var scope = Many("--scope", "Scopes: replace all.");
        var method = Many("--auth-method", "Auth methods: replace all.");
        var pkce = new Option<bool?>("--require-pkce") { Description = "true or false." };
        var enable = new Option<bool>("--enable") { Description = "Enable a disabled client again." };
        var approve = new Option<bool>("--approve")
        {
            Description = "You know who is behind a client that registered itself: people are asked once, as for other clients, and it is kept.",
        };
        var command = new Command("update", "Change a client; what is not named stays.") { id, name, gpt, redirect, scope, method, pkce, enable, approve };
        var act = new OperatorOptions(command);
        command.SetAction((parsed, _) => WithClientsAsync(parsed, async (clients, occasion) =>
        {
            var gpts = parsed.GetValue(gpt) ?? [];
            if (ClientService.ProblemWithGpts(gpts) is { } problem)
            {
                return await Commands.FailAsync(problem);
            }

            string[] uris = [.. gpts.SelectMany(ClientService.CallbacksOf), .. parsed.GetValue(redirect) ?? []];
            var change = new ClientChange(
                parsed.GetValue(name), NullIfEmpty(parsed.GetValue(method)), NullIfEmpty(uris), NullIfEmpty(parsed.GetValue(scope)), parsed.GetValue(pkce),
                parsed.GetValue(enable) ? false : null, parsed.GetValue(approve));
            return await ReportAsync(await clients.UpdateAsync(parsed.GetRequiredValue(id), change, act.Read(parsed), occasion), "updated");
        }));
        return command;
    }

    private static Command RotateSecret()
    {
        var id = ClientId();
        var retire = new Option<bool>("--retire-old") { Description = "End the older of two secrets, once every caller has the new one." };
        var command = new Command("rotate-secret", "Issue a second secret, valid beside the old one; later end the old one with --retire-old.") { id, retire };
        var act = new OperatorOptions(command);
        command.SetAction((parsed, _) => WithClientsAsync(parsed, async (clients, occasion) =>
        {
            var clientId = parsed.GetRequiredValue(id);
            if (parsed.GetValue(retire))
            {
                return await ReportAsync(await clients.RetireOldSecretAsync(clientId, act.Read(parsed), occasion), "the old secret is no longer valid");
            }

            var (secret, problem) = await clients.RotateSecretAsync(clientId, act.Read(parsed), occasion);
            return await ReportAsync(problem, $"client_secret  {secret}\nThe old secret stays valid until 'clients rotate-secret {clientId} --retire-old'.");
        }));
        return command;
    }

    private static Command Disable()
    {
        var id = ClientId();
        var command = new Command("disable", "Refuse a client everywhere from now on; 'clients update ID --enable' takes it back.") { id };
        var act = new OperatorOptions(command);
        command.SetAction((parsed, _) => WithClientsAsync(parsed, async (clients, occasion) =>
            await ReportAsync(
                await clients.UpdateAsync(parsed.GetRequiredValue(id), new ClientChange(IsDisabled: true), act.Read(parsed), occasion), "disabled")));
        return command;
    }

    private static Argument<string> ClientId() => new("client-id") { Description = "The client's id." };

    private static Option<string[]> Many(string name, string description) => new(name) { Description = description, AllowMultipleArgumentsPerToken = true };

    private static string[]? NullIfEmpty(string[]? values) => values is { Length: > 0 } ? values : null;

    private static Task<int> WithClientsAsync(ParseResult parsed, Func<ClientService, Occasion, Task<int>> run) => Commands.WithServicesAsync(
        parsed,
        services => run(
            services.GetRequiredService<ClientService>(), Occasion.OfCommand(services.GetRequiredService<TimeProvider>().GetUtcNow(), "command")));

    private static async Task<int> ReportAsync(string? problem, string success)
    {
        if (problem is not null)
        {
            return await Commands.FailAsync(problem);
        }

        Console.WriteLine(success);
        return 0;
    }

    private static ClientOutput Describe(Client client, string? secret) => new()
    {
        ClientId = client.Id,
        ClientSecret = secret,
        Name = client.Name,
        Kind = client.Kind,
        AuthMethods = client.AuthMethods,
        RedirectUris = client.RedirectUris,
        Scopes = client.Scopes,
        RequirePkce = client.RequirePkce,
        ActiveSecrets = client.SecretCount,
        LastUsedAt = client.LastUsedAt,
        DisabledAt = client.DisabledAt,
    };
}
