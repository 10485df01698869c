using GptFunctions.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace GptFunctions.Development;

/// <summary>
/// What <c>make run</c> does for the program, for who starts it without: <c>dotnet run</c>, or a debugger. The addresses of the servers that
/// <c>make services</c> started, and the API that <c>make connect</c> wrote down, are taken from the checkout, below every other source of settings.
/// </summary>
[Setting(Name, Default = "false", Meaning = "`true`, in Development only: the servers of `make services` and the API of `make connect` are taken from the "
    + "checkout, and `setup` runs before the functions start; `GptFunctions/Properties/launchSettings.json` says so for `dotnet run`")]
internal static class DevelopmentCheckout
{
    private const string Name = "DEVELOPMENT_CHECKOUT";

    /// <summary>Asked of the environment, because it decides what a start begins with.</summary>
    public static bool IsAsked => Environment.GetEnvironmentVariable(Name) == "true"
        && Environment.GetEnvironmentVariable("AZURE_FUNCTIONS_ENVIRONMENT") == Environments.Development;

    /// <summary>Throws <see cref="OptionsValidationException"/> when nobody says where the database is.</summary>
    public static Dictionary<string, string?> Read(IConfiguration configuration)
    {
        var local = DevelopmentDefaults.LocalDirectory();
        var settings = DevelopmentDefaults.Read(Path.Combine(local, "services", "dev", "environment"));
        if (string.IsNullOrEmpty(configuration["DATABASE_URL"]) && !settings.ContainsKey("DATABASE_URL"))
        {
            throw new OptionsValidationException(
                "", typeof(DevelopmentCheckout),
                ["DATABASE_URL is missing, and this checkout has no servers yet: start them with 'make services', or set it."]);
        }

        var api = Path.Combine(local, "..", "infra", "config", "api");
        var routes = Path.GetFullPath(Path.Combine(api, "gateway.json"));
        if (string.IsNullOrEmpty(configuration["GATEWAY_CONFIG"]) && File.Exists(routes))
        {
            settings["GATEWAY_CONFIG"] = routes;
            foreach (var (name, value) in DevelopmentDefaults.Read(Path.Combine(api, "settings.env")))
            {
                settings[name] = value;
            }
        }

        return settings;
    }
}
