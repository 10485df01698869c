using System.CommandLine;
using System.Globalization;
using GptFunctions.Hosting;
using Microsoft.Extensions.DependencyInjection;

namespace GptFunctions.Connect;

/// <summary><c>GptFunctions connect</c>: from the OpenAPI document of somebody's API to routes, scopes and a client.</summary>
internal static class ConnectCommand
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(5);

    private static readonly Option<string> OpenApi = Needed(
        "--openapi", "The OpenAPI document of your API (3.0 or 3.1, JSON or YAML): a file or a URL.");

    private static readonly Option<string> Upstream = Needed("--upstream", "Where your API answers, for example http://127.0.0.1:5000.");

    private static readonly Option<string> Location = Given(
        "--directory", "Where gateway.json, the document and settings.env go, or are.", "infra/config/api");

    private static readonly Option<string?> Scopes = new Option<string?>("--scopes")
    {
        Description = "Scopes of new routes: by tag (books:read, books:write), or by access only (library:read, library:write); by tag where every "
            + "operation has one of two to eight.",
    }.AcceptOnlyFromAmong("tag", "access");

    private static readonly Option<string> Tiers = Given(
        "--tiers", "Limits of new routes: by method (GET reads, the rest is expensive), or one for all.", "method", "read", "expensive");

    private static readonly Option<string> Audit = Given("--audit", "New routes whose calls stand in the audit trail.", "writes", "all", "none");

    private static readonly Option<string[]> Header = new("--header")
    {
        Description = "What your API gets with each call of a new route: 'x-api-key: {secret:API_KEY}', where {secret:NAME} is read from the environment.",
        DefaultValueFactory = _ => [],
    };

    private static readonly Option<string[]> Gpt = new("--gpt")
    {
        Description = "The id of a Custom GPT (g-...), known once it was saved: its callback URLs are registered.",
        DefaultValueFactory = _ => [],
    };

    private static readonly Option<string?> Client = new("--client") { Description = "The client's id; made of the document's title when left out." };
    private static readonly Option<bool> Plan = new("--plan") { Description = "Say what would change, and change nothing." };

    public static Command Create()
    {
        var command = new Command("connect", "Connect an API: write its routes, scopes and client from its OpenAPI document. What you edited stays.")
        {
            OpenApi, Upstream, Location, Scopes, Tiers, Audit, Header, Gpt, Client, Plan,
        };
        command.Validators.Add(result =>
        {
            if (result.GetValue(Upstream) is { } upstream && !IsUpstream(upstream))
            {
                result.AddError("--upstream must be an http:// or https:// URL without user, query and fragment.");
            }

            if (result.GetValue(Header)?.Any(one => one.IndexOf(':', StringComparison.Ordinal) < 1) == true)
            {
                result.AddError("--header must be a name and a value, such as 'x-api-key: {secret:API_KEY}'.");
            }
        });
        command.SetAction(RunAsync);
        return command;
    }

    private static async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        var (document, problem) = await ApiDocument.LoadAsync(parsed.GetRequiredValue(OpenApi), cancellationToken);
        if (document is null)
        {
            return await Commands.FailAsync(problem!);
        }

        var request = new ConnectRequest(
            parsed.GetRequiredValue(OpenApi), parsed.GetRequiredValue(Upstream), parsed.GetRequiredValue(Location),
            new RouteDefaults(parsed.GetValue(Scopes), parsed.GetRequiredValue(Tiers), parsed.GetRequiredValue(Audit)),
            [.. parsed.GetRequiredValue(Header).Select(one => one.Split(':', 2, StringSplitOptions.TrimEntries)).Select(
                parts => KeyValuePair.Create(parts[0], parts[1]))]);
        var (plan, problems) = ConnectPlan.Make(request, document);
        if (plan?.AddedRoutes > 0 && Questions.AtTerminal is { } questions)
        {
            request = request with { Defaults = Ask(questions, parsed, request, document) };
            (plan, problems) = ConnectPlan.Make(request, document);
        }

        if (plan is null)
        {
            return await Commands.FailAsync(string.Join('\n', problems));
        }

        Say(plan, request);
        if (parsed.GetValue(Plan))
        {
            Console.WriteLine("(nothing was written: --plan)");
            return 0;
        }

        Write(plan, request.Directory);
        Console.WriteLine(await AskAsync(request.Upstream, cancellationToken));
        // The commands' services read the settings as the functions will.
        Environment.SetEnvironmentVariable("GATEWAY_CONFIG", Path.GetFullPath(Path.Combine(request.Directory, ConnectPlan.RoutesFile)));
        Environment.SetEnvironmentVariable("GPT_SCOPES", plan.Scopes);
        return await Commands.WithServicesAsync(parsed, services => ActivatorUtilities.CreateInstance<ConnectClient>(services).RunAsync(
            parsed.GetValue(Client) ?? RouteMaker.Slug(document.Title) + "-gpt", parsed.GetRequiredValue(Gpt), plan, Questions.AtTerminal));
    }

    /// <summary>What new routes are like, as far as no option says it.</summary>
    private static RouteDefaults Ask(Questions questions, ParseResult parsed, ConnectRequest request, ApiDocument document)
    {
        var defaults = request.Defaults;
        if (!IsGiven(parsed, Scopes))
        {
            defaults = defaults with
            {
                Scopes = questions.Choose(
                    "What people are asked to allow, for new routes:", RouteMaker.IsByTag(document) ? "tag" : "access",
                    ("tag", ScopesWith("tag")), ("access", ScopesWith("access"))),
            };
        }

        if (!IsGiven(parsed, Tiers))
        {
            defaults = defaults with
            {
                Tiers = questions.Choose(
                    "Which limit of a minute their calls have:", defaults.Tiers,
                    ("method", "GET reads, the rest is expensive"), ("read", "the wide one, all"), ("expensive", "the narrow one, all")),
            };
        }

        return IsGiven(parsed, Audit) ? defaults : defaults with
        {
            Audit = questions.Choose(
                "Whose calls stand in the audit trail:", defaults.Audit, ("writes", "those of all but GET"), ("all", "every call"), ("none", "no call")),
        };

        string ScopesWith(string scopes) => ConnectPlan.Make(request with { Defaults = defaults with { Scopes = scopes } }, document).Plan is { } plan
            ? string.Join(' ', plan.AddedScopes) : "cannot be: its names are too many or too long";
    }

    private static bool IsGiven(ParseResult parsed, Option option) => parsed.GetResult(option) is { Implicit: false };

    private static void Say(ConnectPlan plan, ConnectRequest request)
    {
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{plan.Document.Title}: {plan.Document.Operations.All.Count()} operations in {request.Source}"));
        Console.WriteLine(plan.Changes.Count == 0 ? $"{request.Directory} is as it should be: nothing changes." : string.Join('\n', plan.Changes));
        foreach (var note in plan.Notes)
        {
            Console.WriteLine("! " + note);
        }
    }

    /// <summary>Whole files are moved into place, the routes last, and those that are as they should be are left alone.</summary>
    private static void Write(ConnectPlan plan, string directory)
    {
        Directory.CreateDirectory(directory);
        foreach (var (name, text) in plan.Files.OrderBy(file => file.Key == ConnectPlan.RoutesFile))
        {
            var path = Path.Combine(directory, name);
            if (!File.Exists(path) || File.ReadAllText(path) != text)
            {
                File.WriteAllText(path + ".new", text);
                File.Move(path + ".new", path, overwrite: true);
                Console.WriteLine("written: " + path);
            }
        }
    }

    /// <summary>Any answer is one: which path there is harmless, nobody knows, so it is the address alone.</summary>
    private static async Task<string> AskAsync(string upstream, CancellationToken cancellationToken)
    {
        using var http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false }) { Timeout = Limit };
        try
        {
            using var response = await http.GetAsync(new Uri(upstream), HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            return string.Create(CultureInfo.InvariantCulture, $"upstream: {upstream} answers ({(int)response.StatusCode})");
        }
        catch (Exception error) when (error is HttpRequestException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return $"! upstream: {upstream} does not answer ({error.Message.TrimEnd('.')}): start it before an action is called.";
        }
    }

    private static Option<string> Needed(string name, string description) => new(name) { Description = description, Required = true };

    /// <param name="values">The default, and what else it may be; alone: anything.</param>
    private static Option<string> Given(string name, string description, params string[] values)
    {
        var option = new Option<string>(name) { Description = description, DefaultValueFactory = _ => values[0] };
        return values.Length == 1 ? option : option.AcceptOnlyFromAmong(values);
    }

    private static bool IsUpstream(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https"
        && url.UserInfo.Length + url.Query.Length + url.Fragment.Length == 0;
}
