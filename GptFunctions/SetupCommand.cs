using System.CommandLine;
using GptFunctions.Data;
using GptFunctions.OAuth;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace GptFunctions;

/// <summary><c>GptFunctions setup</c>: brings the database to this program's schema and writes the first client. Run before the functions start; safe to repeat, and by several at once.</summary>
internal static class SetupCommand
{
    public static Command Create()
    {
        var command = new Command("setup", "Apply database migrations and write the first client (GPT_CLIENT_ID). Idempotent; says what it did.");
        command.SetAction((_, cancellationToken) => Commands.WithServicesAsync(services => RunAsync(services, cancellationToken)));
        return command;
    }

    private static async Task<int> RunAsync(IServiceProvider services, CancellationToken cancellationToken)
    {
        var settings = services.GetRequiredService<IOptions<OAuthSettings>>().Value;
        var migrator = services.GetRequiredService<Migrator>();
        var applied = await migrator.ApplyAsync(cancellationToken);
        foreach (var migration in applied)
        {
            Console.WriteLine($"database: applied V{migration.Version:000}_{migration.Name}");
        }

        Console.WriteLine($"database: schema version {migrator.LatestVersion}{(applied.Count == 0 ? ", nothing to do" : "")}");

        var isNew = await services.GetRequiredService<ClientService>().EnsureFirstAsync(cancellationToken);
        Console.WriteLine($"clients: {settings.ClientId} {(isNew ? "added" : "is as the settings say")}");
        if (services.GetRequiredService<IHostEnvironment>().IsDevelopment())
        {
            var file = Path.Combine(DevelopmentDefaults.LocalDirectory(), "demo-client.env");
            DevelopmentDefaults.Write(file, $"GPT_CLIENT_ID={settings.ClientId}\nGPT_CLIENT_SECRET={settings.ClientSecret}\nGPT_REDIRECT_URI={settings.RedirectUris[0]}\n", overwrite: true);
            Console.WriteLine($"clients: id, secret and redirect URI are in {Path.GetRelativePath(Environment.CurrentDirectory, file)}");
        }

        return 0;
    }
}
